"""`manifest.json`: what it says, how it is written, and the checksum it carries of itself."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar

from runtimes.errors import ArtifactError
from runtimes.registry import artifact_runtimes, get_runtime, get_task, task_names

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "PRECISIONS",
    "PROBLEM_TYPES",
    "SIGNATURE_NAME",
    "VARIANTS",
    "Manifest",
    "ModelEntry",
    "digest_of",
    "is_intact",
    "parse",
    "render",
]

FORMAT_VERSION = 2
"""2 names the files of weights. 1, which is read as well, leaves them to be found by name."""

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = f"{MANIFEST_NAME}.sig"
"""What `runtimes.signatures` makes, beside the manifest, which does not list it."""

PRECISIONS = ("fp32", "bf16", "fp16", "int8", "auto")
PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")
VARIANTS = ("padded", "unpadded", "portable")

# What no model of this kind comes near to.
_LONGEST = 1_000_000  # tokens
_LARGEST_ID = 2**31 - 1
_LARGEST_FILE = 2**50
_LONGEST_PATH = 1000

# Ends of names of model files, by format: a runtime goes by the name, too.
_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
# Ends of names of files that hold no weights.
_NO_WEIGHTS = (".json", ".md", ".txt", ".onnx", ".xml")

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_VERSION = re.compile(r"(\d{1,9}(\.\d{1,9}){0,3})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = {str: "text", int: "whole number", bool: "true or false", list: "list", dict: "object"}
_Value = TypeVar("_Value", str, int, bool, list[Any], dict[str, Any])

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
            the one that fits it. `"portable"` is the same model again, slower, for versions of the
            runtime that the others do not fit, and for rows that are padded on any side.
        inputs: Input names of the graph.
        instruction_sets: CPU instruction sets on which the quantized ranges cannot saturate
            (informative; empty = not stated).
        weights: Paths of further files that it is read from, such as another model of the artifact
            that holds the weights of both.
        needs: The runtime's least version that answers rightly, found by running it: `"1.25"`;
            empty where none is known that does not.
    """

    runtime: str
    format: str
    path: str
    precision: str
    variant: str = "padded"
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    instruction_sets: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    needs: str = ""


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

    def needed_by(self, runtime: str | None) -> list[str]:
        """Return all files but those that only other runtimes read; None leaves out none."""
        users: dict[str, set[str]] = {name: set() for name in self.files}
        for entry in self.models:
            for name in self.files_of(entry):
                users[name].add(entry.runtime)
        return [n for n, of in users.items() if runtime is None or not of or runtime in of]

    def files_of(self, entry: ModelEntry) -> list[str]:
        """Return the files that a model is read from: itself, and those with its weights."""
        return [entry.path, *entry.weights]


def parse(raw: Any) -> Manifest:
    """Return the manifest in parsed JSON.

    Raises:
        ValueError: A field is missing, or has a value that no model could have, or a path leaves
            the artifact; the message names the field.
    """
    raw = _object(raw, "it")
    task = _text(raw, "task")
    if task not in task_names():
        raise ValueError(f"there is no task {task!r:.60}")
    files = {
        _safe_path(name): _file(entry, name) for name, entry in _field(raw, "files", dict).items()
    }
    version = _whole(raw, "format", 1, FORMAT_VERSION)
    models = tuple(_model(_object(each, "a model")) for each in _field(raw, "models", list))
    if version == 1:
        models = _with_weights(models, files)
    for model in models:
        for path in (model.path, *model.weights):
            if path not in files:
                raise ValueError(f"{path}, of a model, is not among the files")
    if len({model.path for model in models}) < len(models):
        raise ValueError("two models are one file")
    labels = _texts(raw, "labels")
    if not labels and get_task(task).SPEC.labels is None:
        raise ValueError("labels is empty")
    return Manifest(
        task=task,
        labels=labels,
        problem_type=_one_of(raw, "problem_type", PROBLEM_TYPES),
        max_length=_whole(raw, "max_length", 1, _LONGEST),
        pad_token_id=_whole(raw, "pad_token_id", 0, _LARGEST_ID),
        type_ids=_field(raw, "type_ids", bool),
        models=models,
        lineage=tuple(_object(step, "a step of lineage") for step in _field(raw, "lineage", list)),
        metrics=_field(raw, "metrics", dict),
        quantization=_field(raw, "quantization", dict),
        files=files,
        created_by=_text(raw, "created_by"),
        pairs=_field({"pairs": False, **raw}, "pairs", bool),
        format=version,
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


def digest_of(content: bytes) -> str:
    """Return the digest that an intact manifest states of itself: what tells artifacts apart."""
    return _digest(content).decode()


def _digest(content: bytes) -> bytes:
    """Hexadecimal SHA-256 of a manifest's bytes with the digest itself blanked."""
    return hashlib.sha256(_DIGEST.sub(rb"\g<1>\g<3>", content)).hexdigest().encode()


def _model(raw: dict[str, Any]) -> ModelEntry:
    inputs = _texts(raw, "inputs")
    if "input_ids" not in inputs or len(set(inputs)) < len(inputs) or set(inputs) - set(_INPUTS):
        raise ValueError(f"a model has the inputs {list(inputs)!r:.80}")
    runtime, kind = _text(raw, "runtime"), _text(raw, "format")
    path = _safe_path(_text(raw, "path"))
    # A runtime that opens the files of another as well does not answer as was measured from them.
    if runtime in artifact_runtimes() and kind != get_runtime(runtime).FORMATS[0]:
        raise ValueError(f"a model for {runtime} has the format {kind!r:.60}")
    if not path.endswith(_SUFFIXES.get(kind, "")):
        raise ValueError(f"a model of the format {kind} is {path!r:.80}")
    needs = _text({"needs": "", **raw}, "needs")
    if not _VERSION.fullmatch(needs):
        raise ValueError(f"a model needs the version {needs!r:.60}")
    return ModelEntry(
        runtime=runtime,
        format=kind,
        path=path,
        precision=_one_of(raw, "precision", PRECISIONS),
        variant=_one_of(raw, "variant", VARIANTS),
        inputs=inputs,
        instruction_sets=_texts(raw, "instruction_sets"),
        weights=tuple(_safe_path(path) for path in _texts({"weights": [], **raw}, "weights")),
        needs=needs,
    )


def _with_weights(
    models: tuple[ModelEntry, ...], files: Mapping[str, Any]
) -> tuple[ModelEntry, ...]:
    """Return a format 1 manifest's models with the weights that lie beside them."""
    paths = {model.path for model in models}

    def beside(model: ModelEntry) -> tuple[str, ...]:
        place = PurePosixPath(model.path).parent
        return tuple(
            name
            for name in files
            if PurePosixPath(name).parent == place
            and name not in paths
            and not name.endswith(_NO_WEIGHTS)
        )

    return tuple(dataclasses.replace(model, weights=beside(model)) for model in models)


def _file(raw: Any, name: str) -> dict[str, Any]:
    entry = _object(raw, f"the file {name:.60}")
    digest = _text(entry, "sha256")
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"sha256 of {name:.60} is {digest!r:.80}")
    return {"sha256": digest, "size_bytes": _whole(entry, "size_bytes", 0, _LARGEST_FILE)}


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object but {value!r:.60}")
    return value


def _field(raw: dict[str, Any], name: str, kind: type[_Value]) -> _Value:
    """Return a field that is exactly of a type: True is no number here."""
    if name not in raw:
        raise ValueError(f"{name} is missing")
    value = raw[name]
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r:.60}, which is no {_KINDS[kind]}")
    return value


def _text(raw: dict[str, Any], name: str) -> str:
    return _field(raw, name, str)


def _texts(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    values = _field(raw, name, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} is {values!r:.60}, which are not all texts")
    return tuple(values)


def _whole(raw: dict[str, Any], name: str, least: int, most: int) -> int:
    value = _field(raw, name, int)
    if not least <= value <= most:
        raise ValueError(f"{name} is {value:d}"[:60] + f"; it must be from {least} to {most}")
    return value


def _one_of(raw: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = _text(raw, name)
    if value not in known:
        raise ValueError(f"{name} is {value!r:.60}; there are: {', '.join(known)}")
    return value


def _safe_path(name: str) -> str:
    """Refuse paths that leave the artifact: a manifest may come from a stranger."""
    path = PurePosixPath(name)
    unsafe = path.is_absolute() or ".." in path.parts or not path.parts
    if unsafe or "\\" in name or "\0" in name or ":" in path.parts[0] or len(name) > _LONGEST_PATH:
        raise ValueError(f"unsafe path {name!r:.80}")
    return name
