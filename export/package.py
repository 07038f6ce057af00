"""An encoder becomes an artifact folder: models for each runtime, tokenizer, manifest, card."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.checks import cases_for, with_expected, write_checked
from export.ecosystem import (
    for_every_transformers,
    for_javascript,
    save_configs,
    save_modules,
)
from export.parity import Parity, check_parity, torch_logits, torch_outputs
from export.quantization import QuantizationPlan
from export.quiet import quiet_libraries
from export.targets.base import Calibration, Target, input_names
from export.targets.registry import get_target, target_names
from export.vocabulary import without_dead_tokens
from runtimes.artifact import DETAILS_NAME, Manifest, ModelEntry, write_artifact
from runtimes.base import TextInput
from runtimes.checks import Checked, Rounded, answers_of, of_equal_lengths, padded_batches
from runtimes.folders import partial_folder
from runtimes.hf_config import labels_of
from runtimes.registry import get_task, task_of_head
from runtimes.tokenization import Tokenizer

__all__ = ["Exported", "export_artifact", "republish"]

Inputs = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Attributes:
        manifest: As written into the artifact.
        parity: One entry for each file that was made, the float ones included.
        checked: One for each runtime, how its files did in the artifact's self-test here; those
            that are wrong are not in the artifact.
    """

    manifest: Manifest
    parity: tuple[Parity, ...]
    checked: tuple[Checked, ...]


def export_artifact(
    target: str | Path,
    *,
    module: Any,
    tokenizer: Any,
    plan: QuantizationPlan | None = None,
    max_length: int,
    calibration: Sequence[TextInput] = (),
    checks: Sequence[TextInput],
    lineage: Sequence[Mapping[str, Any]] = (),
    runtimes: Sequence[str] | None = None,
    rounding: Callable[..., AbstractContextManager[None]] | None = None,
) -> Exported:
    """Export, compare with PyTorch, and write the artifact atomically.

    Rows of the word table that no text can ask for are left out. The float exports are always made
    and must agree with PyTorch to 1e-3. With a plan the INT8 models go into the artifact; without
    one, and where its scheme is float, the float models do.

    Args:
        target: Artifact folder; an earlier artifact there is replaced.
        module: `LeanEncoderWithHead`.
        tokenizer: Its fast tokenizer.
        plan: How to quantize, or None for a float artifact.
        max_length: Tokens that the runtimes keep of a text.
        calibration: Training texts, strings or pairs, for static quantization.
        checks: Texts to compare the exports on; at least one.
        lineage: What was done to the model so far, for the manifest.
        runtimes: Those to write files for; None: all that have a target (`export.targets`).
        rounding: Within `rounding(module, plan)` a module computes as ONNX Runtime's file of a plan
            should, with `together=True` as for a padded batch: what INT8 costs is then known, and
            that file's self-test finds what is wrong beyond it. None takes the file's own padded
            batches for that.

    Raises:
        ModelError: A float export does not agree with PyTorch, or the plan is static and was not
            made for this model.
        ArtifactError: `target` holds something that is no artifact.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(target) as work:  # on the disk that has to have room anyway
        _save_tokenizer(tokenizer, work, max_length)
        names = input_names(module.config)
        # Of the model as it came: a row too many left out would show.
        original = Tokenizer.from_folder(work, max_length=max_length)
        expected = torch_logits(module, _batches(original, checks, names))
        module = without_dead_tokens(module, work)
        save_configs(module, work)
        text_encoder = Tokenizer.from_folder(work, max_length=max_length)
        batches = _batches(text_encoder, checks, names)
        singles = _batches(text_encoder, checks, names, size=1)
        with quiet_libraries():
            models, parity, files = _export_models(
                work,
                module,
                plan,
                {
                    "padded": batches,
                    "unpadded": singles,
                    "portable": [_padded_left(batch) for batch in batches],
                },
                expected,
                _Tokenized(text_encoder, calibration, names),
                target_names() if runtimes is None else runtimes,
            )
        task = task_of_head(module.config.head).SPEC.name
        id2label = module.config.id2label
        manifest = Manifest(
            task=task,
            labels=labels_of(task, [id2label[index] for index in sorted(id2label)]),
            problem_type=module.config.problem_type or "single_label_classification",
            max_length=max_length,
            pad_token_id=text_encoder.pad_token_id,
            type_ids="token_type_ids" in names,
            pairs=not isinstance(checks[0], str),
            models=models,
            lineage=tuple(dict(step) for step in lineage),
            metrics={"parity": [entry.to_json() for entry in parity]},
            quantization={} if plan is None else plan.to_json(),
        )

        for_javascript(work, models)
        described = [DETAILS_NAME, "config.json", "tokenizer.json", "tokenizer_config.json"]
        if get_task(task).SPEC.pooled:
            described += save_modules(module.config, work, max_length)
        files += [(work / name, name) for name in described]

        def populate(partial: Path) -> None:
            for source, name in files:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, partial / name)

        tests = cases_for(text_encoder, pairs=manifest.pairs)

        def answer(case: list[int]) -> NDArray[np.float32]:
            return torch_outputs(module, tests.rows.batch(case, names))

        tests, rounded = with_expected(tests, answer), dict[str, Rounded]()
        if plan is not None and rounding is not None:
            lengths = tests.rows.lengths
            # Texts of one length are rounded each by itself, as the file rounds one alone.
            with rounding(module, plan):
                alone = answers_of(tests, answer, of_equal_lengths(lengths))
            with rounding(module, plan, together=True):
                padded = answers_of(tests, answer, padded_batches(lengths))
            rounded["onnxruntime"] = Rounded(alone, padded)
        manifest, checked = write_checked(
            target, manifest, populate, tests, work / "draft" / "artifact", rounded
        )
    return Exported(manifest, parity, checked)


def republish(
    source: Path, target: Path, manifest: Manifest, metrics: Mapping[str, Any], card: str
) -> Manifest:
    """Write an artifact again somewhere else, with measured figures and a model card.

    Args:
        source: The artifact as exported.
        target: Where it is published; an earlier artifact there is replaced.
        manifest: The manifest of `source`.
        metrics: Added to the manifest's.
        card: Text of the README.
    """

    def populate(partial: Path) -> None:
        for name in manifest.files:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, partial / name)
        (partial / "README.md").write_text(card, encoding="utf-8")

    described = replace(manifest, metrics={**manifest.metrics, **metrics})
    return write_artifact(target, described, populate)


def _save_tokenizer(tokenizer: Any, folder: Path, max_length: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, with the length the model is used at."""
    tokenizer.save_pretrained(folder)
    for_every_transformers(folder, max_length)


def _export_models(
    work: Path,
    module: Any,
    plan: QuantizationPlan | None,
    checks: Mapping[str, Sequence[Inputs]],
    expected: NDArray[np.float32],
    calibration: Calibration,
    runtimes: Sequence[str],
) -> tuple[tuple[ModelEntry, ...], tuple[Parity, ...], list[tuple[Path, str]]]:
    """Write all model files into `work`.

    Args:
        work: Folder for them.
        module: As in `export_artifact`; so are `plan` and `runtimes`.
        plan: How to quantize.
        checks: By variant, the same texts: in batches that are padded on the right, one by one,
            and in batches that are padded on the left.
        expected: (M, C) what PyTorch says of them.
        calibration: For static quantization.
        runtimes: Whose files to write.

    Returns:
        The manifest's entries, the parities, and pairs of a file and its name in the artifact.
    """
    models: list[ModelEntry] = []
    parity: list[Parity] = []
    files: list[tuple[Path, str]] = []

    def written(target: Target, given: QuantizationPlan | None, folder: Path) -> list[ModelEntry]:
        entries = target.write(module, given, calibration, folder)
        parity.extend(
            check_parity(folder / e.path, e.runtime, e.precision, checks[e.variant], expected)
            for e in entries
        )
        return entries

    for runtime in runtimes:
        target, folder = get_target(runtime), work / "float" / runtime
        entries = written(target, None, folder)
        if plan is not None and plan.is_float(runtime):
            entries = [replace(entry, precision=target.UNQUANTIZED) for entry in entries]
        elif plan is not None:
            folder = work / "int8" / runtime
            entries = written(target, plan, folder)
        if plan is not None:
            exact = plan.instruction_sets_of(runtime)
            entries = [replace(entry, instruction_sets=exact) for entry in entries]
        models += entries
        files += [
            (path, path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
    return tuple(models), tuple(parity), files


class _Tokenized:
    """Texts as single-row inputs, made one at a time."""

    def __init__(
        self, tokenizer: Tokenizer, texts: Sequence[TextInput], names: tuple[str, ...]
    ) -> None:
        self._tokenizer, self._texts, self._names = tokenizer, texts, names

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Inputs]:
        return (self._tokenizer.encode([text], self._names) for text in self._texts)


def _padded_left(batch: Inputs) -> Inputs:
    """Return the same rows with their padding before the tokens."""
    empty = batch["attention_mask"].shape[1] - batch["attention_mask"].sum(axis=1)
    return {
        name: np.stack([np.roll(row, int(n)) for row, n in zip(rows, empty, strict=True)])
        for name, rows in batch.items()
    }


def _batches(
    tokenizer: Tokenizer, texts: Sequence[TextInput], names: tuple[str, ...], size: int = 8
) -> list[Inputs]:
    """Padded batches, so that parity covers the attention mask as well."""
    return [
        tokenizer.encode(texts[start : start + size], names) for start in range(0, len(texts), size)
    ]
