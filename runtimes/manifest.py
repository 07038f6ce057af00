"""`manifest.json`: what it says, how it is written, and the checksum it carries of itself."""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from runtimes.errors import ArtifactError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "Manifest",
    "ModelEntry",
    "is_intact",
    "parse",
    "render",
]

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"

# The digest covers the manifest's own bytes with this field blanked, so that a changed byte
# anywhere in the file is found, even where JSON would not care (spaces, number spellings).
_DIGEST = re.compile(rb'("manifest_sha256": ")([0-9a-f]{64})(")')


@dataclass(frozen=True)
class ModelEntry:
    """One model file of an artifact.

    Attributes:
        runtime: Runtime that opens it (`"onnxruntime"`, `"openvino"`).
        format: `"onnx"` or `"openvino"`.
        path: Path of the model file relative to the artifact, with forward slashes.
        precision: `"fp32"`, `"bf16"`, `"fp16"` or `"int8"`.
        variant: `"padded"` takes an attention mask and any batch; `"unpadded"` takes rows of equal
            length and no mask. Of two entries that differ in nothing else, each batch is given to
            the one that fits it.
        inputs: Input names of the graph.
        instruction_sets: CPU instruction sets on which the quantized ranges cannot saturate
            (informative; empty = not stated).
    """

    runtime: str
    format: str
    path: str
    precision: str
    variant: str = "padded"
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    instruction_sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        task: Task name (`"text-classification"`).
        labels: The C class names, in the order of the model's outputs.
        problem_type: As in Hugging Face configs, e.g. `"single_label_classification"`.
        max_length: Longest input in tokens; longer ones are truncated.
        pad_token_id: Token id that fills shorter rows of a batch.
        type_ids: Whether the model reads `token_type_ids`.
        pairs: Whether it was made for pairs of texts, such as questions and contexts.
        models: Model files, the preferred one first.
        lineage: What was done to the model, step by step.
        metrics: Measured accuracy and latency.
        quantization: The quantization plan.
        files: SHA-256 and size of every file but the manifest, keyed by relative path:
            `{"sha256": hex, "size_bytes": int}`.
        created_by: Tool and version that wrote it.
        format: Format version.
    """

    task: str
    labels: tuple[str, ...]
    problem_type: str
    max_length: int
    pad_token_id: int
    type_ids: bool
    models: tuple[ModelEntry, ...]
    lineage: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    quantization: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    created_by: str = ""
    pairs: bool = False
    format: int = FORMAT_VERSION

    def variants(self, runtime: str, precision: str) -> dict[str, ModelEntry]:
        """Return the files of one model, by variant."""
        wanted = (runtime, precision)
        return {m.variant: m for m in self.models if (m.runtime, m.precision) == wanted}


def parse(raw: dict[str, Any]) -> Manifest:
    """Return the manifest in parsed JSON.

    Raises:
        KeyError, TypeError, ValueError: A field is missing, has another type, or a path leaves the
            artifact.
    """
    models = tuple(
        ModelEntry(
            runtime=str(model["runtime"]),
            format=str(model["format"]),
            path=_safe_path(model["path"]),
            precision=str(model["precision"]),
            variant=str(model["variant"]),
            inputs=tuple(model["inputs"]),
            instruction_sets=tuple(model["instruction_sets"]),
        )
        for model in raw["models"]
    )
    files = {
        _safe_path(name): {"sha256": str(e["sha256"]), "size_bytes": int(e["size_bytes"])}
        for name, e in raw["files"].items()
    }
    for model in models:
        if model.path not in files:
            raise ValueError(f"model {model.path} is not among the files")
    return Manifest(
        task=str(raw["task"]),
        labels=tuple(str(label) for label in raw["labels"]),
        problem_type=str(raw["problem_type"]),
        max_length=int(raw["max_length"]),
        pad_token_id=int(raw["pad_token_id"]),
        type_ids=bool(raw["type_ids"]),
        models=models,
        lineage=tuple(raw["lineage"]),
        metrics=dict(raw["metrics"]),
        quantization=dict(raw["quantization"]),
        files=files,
        created_by=str(raw["created_by"]),
        pairs=bool(raw.get("pairs", False)),
        format=int(raw["format"]),
    )


def render(manifest: Manifest) -> bytes:
    """Return the bytes of `manifest.json`, checksum included.

    Raises:
        ArtifactError: The manifest uses the key `"manifest_sha256"` somewhere itself.
    """
    raw = {**dataclasses.asdict(manifest), "manifest_sha256": "0" * 64}
    content = json.dumps(raw, indent=2, sort_keys=True).encode() + b"\n"
    if len(_DIGEST.findall(content)) != 1:
        raise ArtifactError(
            '"manifest_sha256" is a reserved key; it may not be used in a manifest.'
        )
    return _DIGEST.sub(rb"\g<1>" + _digest(content) + rb"\g<3>", content)


def is_intact(content: bytes) -> bool:
    """Return whether the bytes of a `manifest.json` are those that `render` wrote."""
    found = _DIGEST.findall(content)
    return len(found) == 1 and found[0][1] == _digest(content)


def _digest(content: bytes) -> bytes:
    """Hexadecimal SHA-256 of a manifest's bytes with the digest itself blanked."""
    return hashlib.sha256(_DIGEST.sub(rb"\g<1>\g<3>", content)).hexdigest().encode()


def _safe_path(name: str) -> str:
    """Refuse paths that leave the artifact: a manifest may come from a stranger."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError(f"unsafe path {name!r}")
    return name
