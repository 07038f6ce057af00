"""Fill-mask: how often the masked token is the likeliest."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.quality import Quality
from benchmarks.tasks import text_classification
from benchmarks.tasks.regression import drop_by_class  # a vocabulary is too many classes to tell of
from benchmarks.tasks.text_classification import (
    answers,
    changed,
    differences,
    drop,
    expected_drop,
    metric,
)

__all__ = [
    "answers",
    "changed",
    "differences",
    "drop",
    "drop_by_class",
    "expected_drop",
    "metric",
    "quality",
]


def quality(logits: NDArray[np.float32], examples: Examples) -> Quality:
    """Return whether scores hold."""
    return text_classification.quality(logits, examples).without_classes()
