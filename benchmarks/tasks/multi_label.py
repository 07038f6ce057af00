"""Several labels a text: F1 over all labels of all texts (micro average)."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop, as_measured
from benchmarks.metrics import ClassDrop, Drop, Metric, equally_right
from benchmarks.stats import ratio_difference_interval, ratio_interval

__all__ = ["changed", "drop", "drop_by_class", "expected_drop", "metric"]

Logits = NDArray[np.float32]


def metric(logits: Logits, examples: Examples) -> Metric:
    """Return F1 of labels whose chance is above a half; its interval resamples texts."""
    return Metric.of("F1", ratio_interval(*_f1_parts(logits, examples)), len(examples))


def drop(reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
    """Return the points of F1 lost; the p-value is of texts with all their labels and no other."""
    interval = ratio_difference_interval(
        _f1_parts(reference, examples), _f1_parts(logits, examples), seed=seed
    )
    first = ((reference > 0) == examples.labels).all(axis=1)
    second = ((logits > 0) == examples.labels).all(axis=1)
    return Drop.of(interval, equally_right(first, second))


def drop_by_class(reference: Logits, logits: Logits, examples: Examples) -> tuple[ClassDrop, ...]:
    """Return the points of each label's texts that do not get it any more."""
    found = []
    for index, name in enumerate(examples.label_names):
        own = examples.labels[:, index] == 1
        if own.any():
            lost = (reference[own, index] > 0).mean() - (logits[own, index] > 0).mean()
            found.append(ClassDrop(name, int(own.sum()), 100 * float(lost)))
    return tuple(found)


def changed(one: Logits, other: Logits) -> NDArray[np.bool_]:
    """Return (N,) where a text has other labels."""
    return np.asarray(((one > 0) != (other > 0)).any(axis=1))


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the measured drop, and the spread of what other texts would have given."""
    return as_measured(drop(reference, logits, examples, seed=0))


def _f1_parts(
    logits: Logits, examples: Examples
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N,) twice the right labels, (N,) predicted and true ones: F1 is the sums' ratio."""
    predicted, true = logits > 0, examples.labels.astype(bool)
    right = 2.0 * (predicted & true).sum(axis=1)
    return right, predicted.sum(axis=1) + true.sum(axis=1).astype(np.float64)
