"""Computes accuracy, and the drop against the full-precision model, in points (0 to 100)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats import (
    Interval,
    mcnemar_exact,
    mean_interval,
    paired_difference_interval,
    wilson_interval,
)

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

__all__ = [
    "ClassDrop",
    "CrossFitted",
    "Drop",
    "Metric",
    "accuracy",
    "drop",
    "drop_by_class",
    "equally_right",
]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """A task metric on one split.

    Attributes:
        name: `"accuracy"`.
        value: Points, 0 to 100.
        low: Lower end of the 95% interval, points.
        high: Upper end of the 95% interval, points.
        n: Examples it was computed on.
    """

    name: str
    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, name: str, share: Interval, n: int) -> "Self":
        """Return the metric of a value between 0 and 1."""
        return cls(name, 100 * share.value, 100 * share.low, 100 * share.high, n)


@dataclass(frozen=True)
class Drop:
    """Loss of a model against the reference on the same examples.

    Attributes:
        value: Points; positive is worse than the reference (88.5 to 87.9 is 0.6).
        low: Lower end of the paired 95% bootstrap interval, points.
        high: Upper end of the paired 95% bootstrap interval, points.
        p_value: Exact McNemar p-value of "equally often right" (1.0: no evidence of a change).
    """

    value: float
    low: float
    high: float
    p_value: float

    @classmethod
    def of(cls, share: Interval, p_value: float) -> "Self":
        """Return the drop of a metric between 0 and 1."""
        return cls(100 * share.value, 100 * share.low, 100 * share.high, p_value)


@dataclass(frozen=True)
class CrossFitted:
    """Loss of what a choice takes, where the texts that choose also measure.

    Half of the texts choose and the other half measure, many times: the mean loss. A choice on half
    of the texts is what is estimated, by which one on all of them is judged with care.

    Attributes:
        value: Points, as a drop's.
        low: Lower end of the 95% interval, points.
        high: Upper end likewise.
        n: Texts.
        choices: Times that a half chose.
        none: Of these, those in which nothing was within the budget; they do not count.
    """

    value: float
    low: float
    high: float
    n: int
    choices: int
    none: int = 0


@dataclass(frozen=True)
class ClassDrop:
    """Loss of a model among the examples of one class.

    Attributes:
        label: The class.
        n: Its examples.
        value: Points of its examples (recall); positive is worse than the reference.
        low: Lower end of the paired 95% bootstrap interval, points; None in older reports.
        high: Upper end likewise.
    """

    label: str
    n: int
    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, label: str, lost: NDArray[Any]) -> "Self":
        """Return the drop of a class.

        Args:
            label: Its name.
            lost: (N,) for each of its examples 1 where only the reference is right, -1 where only
                the other one is, 0 else.
        """
        share = mean_interval(lost, resamples=2000)
        return cls(label, len(lost), 100 * share.value, 100 * share.low, 100 * share.high)


def accuracy(predictions: IntArray, labels: IntArray) -> Metric:
    """Return the share of N examples whose label is predicted, with its Wilson 95% interval.

    Args:
        predictions: (N,) class indices.
        labels: (N,) class indices.

    Raises:
        ValueError: The two do not have the same, non-zero length.
    """
    correct = _correct(predictions, labels)
    return Metric.of("accuracy", wilson_interval(int(correct.sum()), len(correct)), len(correct))


def drop(
    reference_predictions: IntArray,
    predictions: IntArray,
    labels: IntArray,
    *,
    seed: int = 0,
) -> Drop:
    """Return the points of accuracy lost against the reference on the same N examples.

    Args:
        reference_predictions: (N,) class indices predicted by the full-precision model.
        predictions: (N,) class indices predicted by the model in question.
        labels: (N,) true class indices.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: The three do not have the same, non-zero length.
    """
    before = _correct(reference_predictions, labels)
    after = _correct(predictions, labels)
    interval = paired_difference_interval(before, after, seed=seed)
    return Drop.of(interval, equally_right(before, after))


def equally_right(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """Return the exact McNemar p-value of two models, by where each of them is right (N,)."""
    return mcnemar_exact(int((before & ~after).sum()), int((after & ~before).sum()))


def drop_by_class(
    reference_predictions: IntArray,
    predictions: IntArray,
    labels: IntArray,
    names: Sequence[str],
) -> tuple[ClassDrop, ...]:
    """Return the points lost against the reference in each class that has examples.

    Args:
        reference_predictions: (N,) class indices predicted by the full-precision model.
        predictions: (N,) class indices predicted by the model in question.
        labels: (N,) true class indices.
        names: Of the classes.

    Raises:
        ValueError: The three do not have the same, non-zero length.
    """
    lost = _correct(reference_predictions, labels).astype(int) - _correct(predictions, labels)
    return tuple(
        ClassDrop.of(name, lost[own])
        for index, name in enumerate(names)
        if (own := labels == index).any()
    )


def _correct(predictions: IntArray, labels: IntArray) -> NDArray[np.bool_]:
    predicted, true = np.asarray(predictions), np.asarray(labels)
    if predicted.ndim != 1 or predicted.shape != true.shape or predicted.size == 0:
        raise ValueError(f"needs (N,) predictions and labels, got {predicted.shape}, {true.shape}")
    return np.asarray(predicted == true, dtype=np.bool_)
