"""Members of a family: encoders that the stages made, exported and ready to be measured."""

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.examples import Examples
from benchmarks.subjects import Subject
from compress.config.recipe import Recipe
from compress.system.fingerprint import digest
from compress.system.workspace import Workspace
from runtimes.artifact import read_manifest
from runtimes.registry import runtime_title

if TYPE_CHECKING:
    from compress.stages.base import Context, Encoder

__all__ = [
    "Candidate",
    "Member",
    "Staged",
    "candidates_of",
    "describe_encoder",
    "export_member",
    "fallback_member",
    "sample",
    "self_test_remarks",
]

_log = logging.getLogger("edgepress")

# Texts that exported files are compared with PyTorch on.
_CHECKS = 32


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
    lineage: tuple[Mapping[str, Any], ...] = field(compare=False)  # `key` stands for it
    artifact: Path
    checkpoint: Path | None


@dataclass(frozen=True)
class Staged:
    """A member before it is exported.

    Attributes:
        name: Short and unique in the run.
        key: Key of its checkpoint.
        encoder: What the stages made.
        context: What stages may use with it: texts in its tokens, costs of its sizes.
    """

    name: str
    key: str
    encoder: "Encoder"
    context: "Context" = field(compare=False)


@dataclass(frozen=True)
class Candidate:
    """A member on a runtime: what is measured, compared and recommended.

    Attributes:
        member: What runs.
        runtime: What runs it.
    """

    member: Member
    runtime: str

    @property
    def row_id(self) -> str:
        """Id of its row in reports."""
        return f"{self.member.name}-{self.runtime}"

    def subject(self, threads: int | None) -> Subject:
        """Return what the benchmark is to measure."""
        return Subject(
            id=self.row_id,
            model=f"{self.member.name}: {self.member.description}",
            kind="artifact",
            path=self.member.artifact,
            runtime=self.runtime,
            threads=threads,
        )


def candidates_of(members: Iterable[Member], runtimes: Sequence[str]) -> list[Candidate]:
    """Return each member on each of the runtimes that its artifact has files for.

    A runtime that failed the artifact's self-test where it was exported is not among them.
    """
    found = []
    for member in members:
        there = {entry.runtime for entry in read_manifest(member.artifact).models}
        found += [Candidate(member, name) for name in runtimes if name in there]
    return found


def self_test_remarks(members: Iterable[Member]) -> list[str]:
    """Say which runtimes failed the self-test of which members, and are not in their artifacts."""
    return [
        f"{member.name}: {runtime_title(checked['runtime'])} is {checked['verdict']} on this "
        "machine, so the artifact has no files for it."
        for member in members
        for checked in read_manifest(member.artifact).metrics.get("checks", ())
        if not checked["right"]
    ]


def export_member(staged: Staged, workspace: Workspace, *, only: str | None = None) -> Member:
    """Export one encoder, unless it is exported already.

    Args:
        staged: The member; its encoder carries its plan.
        workspace: Where the artifact goes.
        only: The runtime to write files for, where the artifact is to be tried and no more; None:
            those of the recipe.
    """
    from compress.quantization.fake_quantization import fake_quantized
    from export.package import export_artifact

    encoder, plan, context = staged.encoder, staged.encoder.plan, staged.context
    runtimes = context.recipe.runtimes if only is None else (only,)
    key = digest(staged.key, context.max_length, None if plan is None else plan.to_json(), runtimes)
    target = workspace.member(key)
    if not _is_there(target):
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
            runtimes=runtimes,
            rounding=partial(fake_quantized, fixed=True),
        )
        for parity in exported.parity:
            _log.info("export %s: %s", staged.name, asdict(parity))
    return Member(
        name=staged.name,
        description=describe_encoder(encoder.module.config),
        key=key,
        lineage=encoder.lineage,
        artifact=target,
        checkpoint=workspace.encoder(staged.key),
    )


def fallback_member(
    checkpoint: Path, train: Examples, recipe: Recipe, workspace: Workspace, key: str
) -> Member:
    """Export an architecture without an importer by the stock exporters, in INT8, nothing removed.

    Raises:
        ModelError: They cannot export it either.
    """
    from export.fallback import export_fallback_artifact
    from runtimes.tokenization import Tokenizer

    target = workspace.member(key)
    tokenizer = Tokenizer.from_folder(checkpoint)
    if not _is_there(target):
        texts = sample(train, recipe.quantize.calibration_texts)
        export_fallback_artifact(
            checkpoint,
            target,
            scratch=workspace.scratch,
            max_length=recipe.max_length or tokenizer.max_length,
            pairs=train.pairs is not None,
            runtimes=recipe.runtimes,
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


def _is_there(artifact: Path) -> bool:
    """Return whether an artifact is whole; a damaged one is removed, and made again."""
    from runtimes.artifact import read_manifest, verify
    from runtimes.errors import ArtifactError

    try:
        verify(artifact, read_manifest(artifact))
    except ArtifactError:
        shutil.rmtree(artifact, ignore_errors=True)
        return False
    return True


def describe_encoder(config: Any) -> str:
    """Describe sizes, such as `4 layers, 36 heads, FFN 896-1472`."""
    sizes = config.layers
    heads = sum(layer["heads"] for layer in sizes)
    widths = [layer["intermediate_size"] for layer in sizes]
    same = len(set(widths)) == 1
    shown = f"{widths[0]}" if same else f"{min(widths)}-{max(widths)}"
    layers = f"{len(sizes)} layer{'s' if len(sizes) != 1 else ''}"
    return f"{layers}, {heads} head{'s' if heads != 1 else ''}, FFN {shown}"


def sample(examples: Examples, count: int) -> Sequence[str | tuple[str, str]]:
    """Return `count` evenly spaced texts, so that a sorted file still gives a mixture."""
    texts = examples.inputs()
    count = min(count, len(texts))
    return [texts[place * len(texts) // count] for place in range(count)]
