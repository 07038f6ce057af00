"""Fixed lengths for devices that need fixed shapes: inputs are filled up to the next of a few."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["bucket_of", "filled"]

_SHORTEST = 8  # below it a model's time is overhead, whatever the length


def bucket_of(length: int) -> int:
    """Return the least of 8, 16, 32, 64 ... that holds `length` tokens."""
    return max(_SHORTEST, 1 << (length - 1).bit_length())


def filled(
    inputs: Mapping[str, NDArray[np.int64]], length: int, pad_token_id: int = 0
) -> dict[str, NDArray[np.int64]]:
    """Fill inputs (B, T) up to (B, `length`), masked beyond T.

    Args:
        inputs: By name; `attention_mask` must be among them, or text and filling are the same.
        length: At least T.
        pad_token_id: Fills `input_ids`; everything else is filled with 0.
    """
    return {
        name: np.pad(
            array,
            ((0, 0), (0, length - array.shape[1])),
            constant_values=pad_token_id if name == "input_ids" else 0,
        )
        for name, array in inputs.items()
    }
