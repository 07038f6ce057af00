"""Splits the sizes of what was measured: embeddings, layers, head, graph, and the tokenizer."""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.subjects import Subject, model_size_bytes
from runtimes.artifact import read_manifest

__all__ = ["PARTS", "size_parts", "sizes_by_part"]

PARTS = ("embeddings", "layers", "head", "graph", "tokenizer")
"""What sizes are split into; the tokenizer's is not a part of a row's size."""

_EMBEDDINGS = re.compile(r"^words|^positions$|^token_types|embedding", re.IGNORECASE)
_LAYERS = re.compile(r"(^|\.)(layers?|h|blocks?)\.\d+\.|layer_groups\.\d+\.")


def sizes_by_part(subjects: Iterable[Subject]) -> dict[str, dict[str, int]]:
    """Return the bytes of each part, by subject, where the names of weights are known.

    Those are checkpoints and our own ONNX files. Other exporters call weights as they like.
    """
    found = {subject.id: size_parts(subject) for subject in subjects}
    return {name: parts for name, parts in found.items() if parts}


def size_parts(subject: Subject) -> dict[str, int]:
    """Return the bytes of each part, by the names in `PARTS`; empty where they are not known.

    All but the tokenizer's add up to `benchmarks.subjects.model_size_bytes`.
    """
    if subject.kind == "checkpoint":
        weights = [
            w for f in sorted(subject.path.glob("*.safetensors")) for w in _of_safetensors(f)
        ]
    elif subject.kind == "artifact":
        models = read_manifest(subject.path).models
        own = [m for m in models if m.runtime == subject.runtime and m.format == "onnx"]
        weights = list(_of_onnx(subject.path / own[0].path)) if own else []
    else:
        weights = []
    if not weights:
        return {}
    found: Counter[str] = Counter()
    for name, size in weights:
        found[_part(name)] += size
    found["graph"] = max(0, model_size_bytes(subject) - found.total())
    if (subject.path / "tokenizer.json").is_file():
        found["tokenizer"] = (subject.path / "tokenizer.json").stat().st_size
    return {name: found[name] for name in PARTS if found[name]}


def _part(name: str) -> str:
    if _LAYERS.search(name):
        return "layers"
    return "embeddings" if _EMBEDDINGS.search(name) else "head"


def _of_onnx(path: Path) -> Iterator[tuple[str, int]]:
    """Go through the weights: their names and bytes, wherever these lie."""
    import onnx

    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        bits = {onnx.TensorProto.INT4: 4, onnx.TensorProto.UINT4: 4}.get(tensor.data_type)
        if bits is None:
            bits = 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        yield tensor.name, math.prod(tensor.dims) * bits // 8


def _of_safetensors(path: Path) -> Iterator[tuple[str, int]]:
    """Go through the weights by the file's header, a JSON object behind its length."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            yield name, end - start
