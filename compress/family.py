"""The members of a run's family: encoders after each stage, exported and ready to be measured."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.examples import Examples
from compress.recipe import Recipe
from compress.stages import get_stage
from compress.workspace import Workspace, digest

if TYPE_CHECKING:
    from compress.stages.base import Context, Encoder

__all__ = [
    "Member",
    "check_stages",
    "describe_encoder",
    "export_member",
    "fallback_member",
    "run_stages",
    "sample",
]

_log = logging.getLogger("edgepress")

# Texts that exported files are compared with PyTorch on.
_CHECKS = 64


@dataclass(frozen=True)
class Member:
    """One model of the family.

    Attributes:
        name: Short and unique in the run, such as `distill` or `full`.
        description: Its sizes, for people.
        key: Digest of everything that it depends on.
        lineage: What was done to it.
        artifact: Where it is exported.
        checkpoint: Its float weights as a folder for `from_pretrained`, if it has any.
    """

    name: str
    description: str
    key: str
    lineage: tuple[Mapping[str, Any], ...]
    artifact: Path
    checkpoint: Path | None


def check_stages(encoder: "Encoder", context: "Context") -> None:
    """Let every stage of the recipe look at the model and its settings, before any is applied.

    Raises:
        EdgepressError: A stage's settings do not fit the model or the data.
    """
    for name in context.recipe.stages:
        get_stage(name).check(encoder, context)


def run_stages(
    encoder: "Encoder", context: "Context", workspace: Workspace, key: str
) -> list[tuple[str, str, "Encoder"]]:
    """Apply the recipe's stages one after another, each from its checkpoint if there is one.

    The encoder as imported is a member too, so that a budget which allows no pruning still gets the
    fastest lossless model.

    Args:
        encoder: As imported.
        context: What the stages may use.
        workspace: Holds the checkpoints.
        key: Digest of the imported model and of the data.

    Returns:
        (name, key of its checkpoint, encoder) for each member, the imported one first, all with
        the plan of the `quantize` stage if the recipe has it.
    """
    recipe = context.recipe
    if not workspace.encoder(key).is_dir():
        workspace.save_encoder(key, encoder)
    members = [("full", key, encoder)]
    for name in recipe.stages:
        if name == "quantize":  # a plan, not a change of weights: attached to every member below
            continue
        key = digest(key, name, getattr(recipe, name).model_dump(), recipe.seed)
        done = workspace.load_encoder(key, like=encoder)
        if done is None:
            _log.info("stage %s starts", name)
            done = get_stage(name).apply(encoder, context)
            workspace.save_encoder(key, done)
            _log.info("stage %s: %s", name, dict(done.lineage[-1]))
        else:
            _log.info("stage %s: resumed from its checkpoint", name)
        encoder = done
        members.append((name, key, encoder))
    if "quantize" not in recipe.stages:
        return members
    quantize = get_stage("quantize")
    return [(name, key, quantize.apply(member, context)) for name, key, member in members]


def export_member(
    name: str, key: str, encoder: "Encoder", context: "Context", workspace: Workspace
) -> Member:
    """Export one encoder, unless it is exported already.

    Args:
        name: The member's name.
        key: Key of its checkpoint.
        encoder: The encoder, with its plan.
        context: Gives the texts to calibrate and check on.
        workspace: Where the artifact goes.
    """
    from export.package import export_artifact
    from runtimes.artifact import read_manifest, verify
    from runtimes.errors import ArtifactError

    checkpoint = workspace.encoder(key)
    plan = encoder.plan
    key = digest(key, context.max_length, None if plan is None else plan.to_json())
    target = workspace.member(key)
    try:
        verify(target, read_manifest(target))
    except ArtifactError:
        shutil.rmtree(target, ignore_errors=True)  # damaged: it is made again
        count = 0 if plan is None else plan.calibration_texts
        exported = export_artifact(
            target,
            module=encoder.module,
            tokenizer=encoder.tokenizer,
            plan=plan,
            max_length=context.max_length,
            calibration=sample(context.train, count),
            checks=sample(context.train, _CHECKS),
            lineage=encoder.lineage,
        )
        for parity in exported.parity:
            _log.info("export %s: %s", name, asdict(parity))
    return Member(
        name=name,
        description=describe_encoder(encoder.module.config),
        key=key,
        lineage=encoder.lineage,
        artifact=target,
        checkpoint=checkpoint,
    )


def fallback_member(
    checkpoint: Path, train: Examples, recipe: Recipe, workspace: Workspace, key: str
) -> Member:
    """A family without an importer: exported by the stock exporters, in INT8, nothing removed.

    Raises:
        ModelError: They cannot export it either.
    """
    from export.fallback import export_fallback_artifact
    from runtimes.artifact import read_manifest, verify
    from runtimes.errors import ArtifactError
    from runtimes.tokenization import Tokenizer

    target = workspace.member(key)
    tokenizer = Tokenizer.from_folder(checkpoint)
    try:
        verify(target, read_manifest(target))
    except ArtifactError:
        shutil.rmtree(target, ignore_errors=True)
        texts = sample(train, recipe.quantize.calibration_texts)
        export_fallback_artifact(
            checkpoint,
            target,
            scratch=workspace.scratch,
            max_length=recipe.max_length or tokenizer.max_length,
            calibration=[tokenizer.encode([text]) for text in texts],
        )
    return Member(
        name="stock",
        description="exported as it is, INT8",
        key=key,
        lineage=(),
        artifact=target,
        checkpoint=None,
    )


def describe_encoder(config: Any) -> str:
    """Such as `4 layers, 36 heads, FFN 4 x 1152`."""
    sizes = config.layers
    heads = sum(layer["heads"] for layer in sizes)
    widths = [layer["intermediate_size"] for layer in sizes]
    same = len(set(widths)) == 1
    shown = f"{widths[0]}" if same else f"{min(widths)}-{max(widths)}"
    layers = f"{len(sizes)} layer{'s' if len(sizes) != 1 else ''}"
    return f"{layers}, {heads} heads, FFN {shown}"


def sample(examples: Examples, count: int) -> Sequence[str | tuple[str, str]]:
    """`count` evenly spaced texts, so that a sorted file still gives a mixture."""
    if count == 0:
        return []
    step = max(1, len(examples) // count)
    return examples.inputs()[::step][:count]
