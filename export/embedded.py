"""ONNX files that hold their weights; others may point into them."""

from collections.abc import Mapping
from pathlib import Path

import onnx

__all__ = ["save_embedded"]

# Protocol buffers end at 2 GiB; a little less, for the graph around the weights.
_MOST_EMBEDDED = 2_000_000_000
# Constants below this many bytes are in both files.
_SMALL = 1024
# Of weights that are mapped into memory, in bytes: as libraries align what they allocate.
_ALIGNMENT = 64


def save_embedded(
    model: onnx.ModelProto, path: Path, sharing: Mapping[str, onnx.ModelProto] | None = None
) -> str:
    """Write a graph with its weights, and graphs with the same large constants in the same order.

    The weights are embedded in the first file, so that it is complete by itself. The others point
    to bytes of it, as external data. All point to `model.onnx_data`, the name that other libraries
    look for, where the weights are more than a file can hold.

    Args:
        model: The graph that is complete. Constants of all graphs are moved.
        path: Its file, such as `onnx/model.onnx`.
        sharing: The other graphs, by the names of their files in the same folder.

    Returns:
        Name of the file that holds the weights.

    Raises:
        RuntimeError: A graph has another constant than the first.
    """
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) <= _MOST_EMBEDDED:
        content, holder = _aligned(model), path.name
        path.write_bytes(content)
    else:
        content, holder = b"".join(t.raw_data for t in _large(model)), f"{path.name}_data"
        path.with_name(holder).write_bytes(content)
        _point(model, content, holder)
        path.write_bytes(model.SerializeToString())
    for name, other in (sharing or {}).items():
        _point(other, content, holder)
        path.with_name(name).write_bytes(other.SerializeToString())
    return holder


def _large(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [tensor for tensor in model.graph.initializer if len(tensor.raw_data) >= _SMALL]


def _aligned(model: onnx.ModelProto) -> bytes:
    """Return a model's bytes, in which large constants begin at multiples of `_ALIGNMENT`.

    What each lacks for that is put before it, as blanks in the description of the constant there.
    """
    tensors = sorted(model.graph.initializer, key=lambda tensor: len(tensor.raw_data) >= _SMALL)
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    large = _large(model)
    before = model.graph.initializer[len(tensors) - len(large) - 1 : -1]
    for tensor in before:
        tensor.doc_string = " "
    while True:  # a second time, where more bytes take more digits to say how many they are
        content, moved = model.SerializeToString(), 0
        for tensor, place in zip(before, _places(large, content), strict=True):
            lacking = -(place + moved) % _ALIGNMENT
            tensor.doc_string += " " * lacking
            moved += lacking
        if not moved:
            return content


def _places(tensors: list[onnx.TensorProto], content: bytes) -> list[int]:
    """Return where a file has each tensor's bytes, one after the other."""
    places, place = [], 0
    for tensor in tensors:
        place = content.find(tensor.raw_data, place)
        if place < 0:
            raise RuntimeError(f"the graphs do not share {tensor.name}")
        places.append(place)
        place += len(tensor.raw_data)
    return places


def _point(model: onnx.ModelProto, content: bytes, holder: str) -> None:
    """Let a model's large constants be read from where a file has them."""
    tensors = _large(model)
    for tensor, place in zip(tensors, _places(tensors, content), strict=True):
        length = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", holder), ("offset", place), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
