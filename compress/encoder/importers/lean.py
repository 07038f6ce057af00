"""The lean encoder itself: what an earlier run saved can be compressed again."""

import copy
from typing import Any

from compress.encoder.modules import LeanEncoderForSequenceClassification

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("lean-encoder",)


def convert(model: Any) -> LeanEncoderForSequenceClassification:
    """Copy a lean encoder."""
    return copy.deepcopy(model)
