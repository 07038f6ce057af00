"""Text classification: accuracy."""

import numpy as np
from numpy.typing import NDArray

from benchmarks import metrics
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.expected import expected_drop as expected
from benchmarks.metrics import ClassDrop, Drop, Metric

__all__ = ["changed", "drop", "drop_by_class", "expected_drop", "metric"]

Logits = NDArray[np.float32]


def metric(logits: Logits, examples: Examples) -> Metric:
    """Return the share of the texts whose label is predicted."""
    return metrics.accuracy(logits.argmax(axis=1), examples.labels)


def drop(reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
    """Return the points of accuracy lost against the reference."""
    before, after = reference.argmax(axis=1), logits.argmax(axis=1)
    return metrics.drop(before, after, examples.labels, seed=seed)


def drop_by_class(reference: Logits, logits: Logits, examples: Examples) -> tuple[ClassDrop, ...]:
    """Return the points lost in each class that has examples."""
    before, after = reference.argmax(axis=1), logits.argmax(axis=1)
    return metrics.drop_by_class(before, after, examples.labels, examples.label_names)


def changed(one: Logits, other: Logits) -> NDArray[np.bool_]:
    """Return (M,) where another class is predicted."""
    return np.asarray(one.argmax(axis=1) != other.argmax(axis=1))


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the drop of accuracy that is to be expected on other texts."""
    return expected(reference, logits, examples.labels)
