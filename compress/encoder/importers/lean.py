"""The lean encoder itself: what an earlier run saved can be compressed again."""

import copy
from typing import Any

from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("lean-encoder",)


def convert(model: Any) -> LeanEncoderWithHead:
    """Copy a lean encoder."""
    return copy.deepcopy(model)
