"""An encoder becomes an artifact folder: models for each runtime, tokenizer, manifest, card."""

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.onnx import build_onnx, build_portable_onnx
from export.openvino import Calibration, build_openvino, quantize_openvino, save_openvino
from export.parity import Parity, check_parity, torch_logits
from export.quantization import QuantizationPlan
from export.quiet import quiet_libraries
from export.vocabulary import without_dead_tokens
from runtimes.artifact import Manifest, ModelEntry, write_artifact
from runtimes.base import TextInput
from runtimes.hf_config import labels_of
from runtimes.registry import task_of_head
from runtimes.tokenization import Tokenizer

__all__ = ["RUNTIMES", "Exported", "export_artifact", "republish"]

RUNTIMES = ("onnxruntime", "openvino")
"""Runtimes that an artifact holds files for."""

_ONNX, _UNPADDED, _OPENVINO = "onnx/model.onnx", "onnx/unpadded.onnx", "openvino/model.xml"

Inputs = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Attributes:
        manifest: As written into the artifact.
        parity: One entry for each file that was made, the float ones included.
    """

    manifest: Manifest
    parity: tuple[Parity, ...]


def export_artifact(
    target: Path,
    *,
    module: Any,
    tokenizer: Any,
    plan: QuantizationPlan | None,
    max_length: int,
    calibration: Sequence[TextInput],
    checks: Sequence[TextInput],
    lineage: Sequence[Mapping[str, Any]] = (),
    runtimes: Sequence[str] = RUNTIMES,
    live_vocabulary: bool = True,
) -> Exported:
    """Export, compare with PyTorch, and write the artifact atomically.

    The float exports are always made and must agree with PyTorch to 1e-3. With a plan the INT8
    models go into the artifact; without one, and where its scheme is float, the float models do.

    Args:
        target: Artifact folder; an earlier artifact there is replaced.
        module: `LeanEncoderWithHead`.
        tokenizer: Its fast tokenizer.
        plan: How to quantize, or None for a float artifact.
        max_length: Tokens that the runtimes keep of a text.
        calibration: Training texts for static quantization.
        checks: Texts to compare the exports on.
        lineage: What was done to the model so far, for the manifest.
        runtimes: Of `RUNTIMES`, those to write files for.
        live_vocabulary: Leave out the rows of the word table that no text can ask for.

    Raises:
        ModelError: A float export does not agree with PyTorch, or the plan is static and was not
            made for this model.
        ArtifactError: `target` holds something that is no artifact.
    """
    with tempfile.TemporaryDirectory(prefix="edgepress-export-") as folder:
        work = Path(folder)
        _save_tokenizer(tokenizer, work, max_length)
        names = _input_names(module.config)
        # Of the model as it came: a row too many left out would show.
        original = Tokenizer.from_folder(work, max_length=max_length)
        expected = torch_logits(module, _batches(original, checks, names))
        if live_vocabulary:
            module = without_dead_tokens(module, work)
        module.config.save_pretrained(work)
        text_encoder = Tokenizer.from_folder(work, max_length=max_length)
        batches = _batches(text_encoder, checks, names)
        singles = _batches(text_encoder, checks, names, size=1)
        with quiet_libraries():
            parity, files = _export_models(
                work,
                module,
                plan,
                (batches, singles),
                expected,
                _Tokenized(text_encoder, calibration, names),
                runtimes,
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
            models=tuple(
                ModelEntry(
                    runtime=runtime,
                    format=kind,
                    path=path,
                    precision=_precision(plan, runtime),
                    variant=variant,
                    inputs=tuple(n for n in names if n != "attention_mask" or variant == "padded"),
                    instruction_sets=() if plan is None else plan.instruction_sets_of(runtime),
                )
                for runtime, kind, path, variant in (
                    ("onnxruntime", "onnx", _ONNX, "padded"),
                    ("onnxruntime", "onnx", _UNPADDED, "unpadded"),
                    ("openvino", "openvino", _OPENVINO, "padded"),
                )
                if runtime in runtimes
            ),
            lineage=tuple(dict(step) for step in lineage),
            metrics={"parity": [entry.to_json() for entry in parity]},
            quantization={} if plan is None else plan.to_json(),
        )

        def populate(partial: Path) -> None:
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
                shutil.copyfile(work / name, partial / name)
            for source, name in files:
                (partial / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source, partial / name)

        manifest = write_artifact(target, manifest, populate)
    return Exported(manifest, parity)


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

    described = dataclasses.replace(manifest, metrics={**manifest.metrics, **metrics})
    return write_artifact(target, described, populate)


def _save_tokenizer(tokenizer: Any, folder: Path, max_length: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, with the length the model is used at."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_max_length"] = max_length
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _export_models(
    work: Path,
    module: Any,
    plan: QuantizationPlan | None,
    checks: tuple[Sequence[Inputs], Sequence[Inputs]],
    expected: NDArray[np.float32],
    calibration: Calibration,
    runtimes: Sequence[str],
) -> tuple[tuple[Parity, ...], list[tuple[Path, str]]]:
    """Write all model files into `work`; returns parities and (file, name in the artifact).

    `checks` are the same texts in padded batches and one by one.
    """
    parity: list[Parity] = []
    files: list[tuple[Path, str]] = []
    if "onnxruntime" in runtimes:
        folder = work / "float"
        parity += _export_onnx(folder, module, None, "fp32", checks, expected)
        if plan is not None and not plan.is_float("onnxruntime"):
            folder = work / "int8"
            parity += _export_onnx(folder, module, plan, "int8", checks, expected)
        files += [(path, f"onnx/{path.name}") for path in sorted(folder.iterdir())]
    if "openvino" in runtimes:
        path, batches = work / "float.xml", checks[0]
        model = build_openvino(build_portable_onnx(module))
        save_openvino(model, path)
        parity.append(check_parity(path, "openvino", "fp32", batches, expected))
        if plan is not None and not plan.is_float("openvino"):
            path = work / "int8.xml"
            save_openvino(quantize_openvino(model, plan, calibration), path)
            parity.append(check_parity(path, "openvino", "int8", batches, expected))
        files += [(path, _OPENVINO), (path.with_suffix(".bin"), "openvino/model.bin")]
    return tuple(parity), files


def _export_onnx(
    folder: Path,
    module: Any,
    plan: QuantizationPlan | None,
    precision: str,
    checks: tuple[Sequence[Inputs], Sequence[Inputs]],
    expected: NDArray[np.float32],
) -> list[Parity]:
    """Write `model.onnx` and `unpadded.onnx` on the same weights, `model.onnx.data`; check both."""
    folder.mkdir()
    data = folder / "model.onnx.data"
    digests = set[bytes]()
    for name, padded in (("unpadded.onnx", False), ("model.onnx", True)):
        onnx.save(
            build_onnx(module, plan, padded=padded),
            folder / name,
            save_as_external_data=True,
            location=data.name,
            size_threshold=1024,
        )
        with data.open("rb") as file:
            digests.add(hashlib.file_digest(file, "sha256").digest())
        if not padded:
            data.unlink()  # the library appends to a file that is there
    if len(digests) > 1:
        raise RuntimeError("the two variants of a model do not have the same weights")
    return [
        check_parity(folder / name, "onnxruntime", precision, inputs, expected)
        for name, inputs in zip(("model.onnx", "unpadded.onnx"), checks, strict=True)
    ]


def _precision(plan: QuantizationPlan | None, runtime: str) -> str:
    """What the manifest says of a runtime's file."""
    if plan is None:
        return "fp32"
    if not plan.is_float(runtime):
        return "int8"
    # bf16 is what makes a float file worth choosing over an INT8 one: left to the library
    return "auto" if runtime == "openvino" else "fp32"


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


def _input_names(config: Any) -> tuple[str, ...]:
    names = ("input_ids", "attention_mask")
    return (*names, "token_type_ids") if config.type_vocab_size else names


def _batches(
    tokenizer: Tokenizer, texts: Sequence[TextInput], names: tuple[str, ...], size: int = 8
) -> list[Inputs]:
    """Padded batches, so that parity covers the attention mask as well."""
    return [
        tokenizer.encode(texts[start : start + size], names) for start in range(0, len(texts), size)
    ]
