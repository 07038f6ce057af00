"""Tensors of the Open Inference Protocol: as JSON, or in bytes behind it.

Of the types only those that texts and answers need: BYTES, FP32 and INT64.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from runtimes.serving.request_errors import RequestError

__all__ = ["pack", "read_texts", "shape_of"]

_NUMBERS = {"FP32": "<f4", "INT64": "<i8"}


def read_texts(tensor: Mapping[str, Any], packed: bytes | None) -> tuple[list[str], list[int]]:
    """Return a tensor of texts, flat, and its shape.

    Args:
        tensor: As JSON describes it.
        packed: Its bytes, where they stand behind the JSON.

    Raises:
        RequestError: It is no tensor of texts, or its shape is not that of what it holds.
    """
    name = str(tensor.get("name"))[:60]
    if tensor.get("datatype") != "BYTES":
        raise RequestError(
            422, f"input {name!r} is of type {tensor.get('datatype')!r:.20}; texts are BYTES"
        )
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise RequestError(422, f"input {name!r}: its shape must be a list of sizes")
    texts = _flat(tensor.get("data"), name) if packed is None else _unpacked(packed, name)
    if not 1 <= len(shape) <= 2 or math.prod(shape) != len(texts):
        raise RequestError(
            422, f"input {name!r} has {len(texts)} texts, which are not of the shape {shape!r:.40}"
        )
    return texts, shape


def pack(datatype: str, values: Any) -> bytes:
    """Return values in bytes; a text is its length, as 4 bytes, and its UTF-8."""
    if datatype in _NUMBERS:
        return np.asarray(values).astype(_NUMBERS[datatype]).tobytes()
    texts = [text.encode("utf-8", "replace") for text in _leaves(values)]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def shape_of(values: Any) -> list[int]:
    """Return the shape of an array or of nested lists.

    Raises:
        RequestError: Lists of one level are not equally long.
    """
    if isinstance(values, np.ndarray):
        return list(values.shape)
    if not isinstance(values, list):
        return []
    shapes = [shape_of(each) for each in values]
    if any(shape != shapes[0] for shape in shapes):
        raise RequestError(
            422,
            "the inputs have different numbers of answers, which make no tensor",
            hint="ask for each alone, or leave top_k out",
        )
    return [len(values), *(shapes[0] if shapes else [])]


def _leaves(values: Any) -> list[str]:
    if isinstance(values, list):
        return [leaf for each in values for leaf in _leaves(each)]
    return [values]


def _flat(data: Any, name: str) -> list[str]:
    if not isinstance(data, list):
        raise RequestError(
            422, f"input {name!r} has no data", hint='give it as "data": ["some text"]'
        )
    texts = [each for row in data for each in (row if isinstance(row, list) else [row])]
    if not all(isinstance(text, str) for text in texts):
        raise RequestError(422, f"input {name!r}: its data must be texts")
    return texts


def _unpacked(packed: bytes, name: str) -> list[str]:
    texts: list[str] = []
    place = 0
    while place < len(packed):
        if place + 4 > len(packed):
            raise RequestError(400, f"input {name!r}: its bytes end within a length")
        (length,) = struct.unpack_from("<I", packed, place)
        place += 4
        if place + length > len(packed):
            raise RequestError(400, f"input {name!r}: its bytes end within text {len(texts)}")
        try:
            texts.append(packed[place : place + length].decode("utf-8"))
        except UnicodeDecodeError:
            raise RequestError(422, f"input {name!r}: text {len(texts)} is not UTF-8") from None
        place += length
    return texts
