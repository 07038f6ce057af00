"""Says how good answers are, class by class, what is taken for what, and whether scores hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bin",
    "ClassQuality",
    "Quality",
    "Threshold",
    "calibration",
    "class_quality",
    "quality_of",
    "softmax",
]

_BINS = 10
_THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class ClassQuality:
    """How well one class is told from the others, in points (0 to 100).

    Attributes:
        label: The class, or the kind of entity.
        n: Its examples.
        precision: Of those that are called so, those that are.
        recall: Of those that are, those that are called so.
        f1: Harmonic mean of the two.
    """

    label: str
    n: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Bin:
    """Decisions of about the same confidence.

    Attributes:
        n: How many.
        confidence: Mean of their scores, 0 to 1.
        right: Share of them that are right, 0 to 1.
    """

    n: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Threshold:
    """What is left where only sure decisions are taken.

    Attributes:
        score: The least score that is taken.
        taken: Share of all decisions, 0 to 1.
        right: Share of the taken ones that are right, 0 to 1; None where none is taken.
    """

    score: float
    taken: float
    right: float | None


@dataclass(frozen=True)
class Quality:
    """Answers of one row, beyond its metric.

    Attributes:
        classes: By class; none where there are too many to be told of.
        confusions: (class, what it was taken for, how often), indices of `names`; those that
            happened, right ones too.
        names: Of the classes in `confusions`.
        bins: Reliability: ten parts of the scores from 0 to 1, those that have decisions.
        thresholds: What is left at several thresholds.
        calibration_error: Expected calibration error, 0 to 1: by how much scores and shares of
            right answers differ, on average over all decisions (Guo et al. 2017,
            https://arxiv.org/abs/1706.04599).
    """

    classes: tuple[ClassQuality, ...] = ()
    confusions: tuple[tuple[int, int, int], ...] = ()
    names: tuple[str, ...] = ()
    bins: tuple[Bin, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    calibration_error: float = 0.0

    def without_classes(self) -> "Quality":
        """Return the same where classes are too many to be told of, such as a vocabulary's."""
        return replace(self, classes=(), confusions=(), names=())


def quality_of(
    chances: NDArray[np.float64], true: NDArray[np.int64], names: Sequence[str]
) -> Quality:
    """Return the quality of M decisions for one of C classes.

    Args:
        chances: (M, C) scores of the classes, 0 to 1.
        true: (M,) right classes.
        names: The C names.
    """
    predicted, confidence = chances.argmax(axis=1), chances.max(axis=1)
    counts: dict[tuple[int, int], int] = {}
    for pair in zip(true.tolist(), predicted.tolist(), strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    classes = tuple(
        class_quality(
            name,
            int((right := true == index).sum()),
            int(called.sum()),
            int((right & called).sum()),
        )
        for index, name in enumerate(names)
        if (called := predicted == index).any() or (true == index).any()
    )
    calibrated = calibration(confidence, predicted == true)
    return replace(
        calibrated,
        classes=classes,
        confusions=tuple((*pair, count) for pair, count in sorted(counts.items())),
        names=tuple(names),
    )


def calibration(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Quality:
    """Return how far scores can be relied on.

    Args:
        confidence: (M,) scores of what was decided, 0 to 1.
        right: (M,) whether that was right.
    """
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = tuple(
        Bin(int(own.sum()), float(confidence[own].mean()), float(right[own].mean()))
        for place in range(_BINS)
        if (own := places == place).any()
    )
    thresholds = []
    for score in _THRESHOLDS:
        taken = confidence >= score
        share = float(right[taken].mean()) if taken.any() else None
        thresholds.append(Threshold(score, float(taken.mean()), share))
    error = sum(part.n * abs(part.confidence - part.right) for part in bins) / len(right)
    return Quality(bins=bins, thresholds=tuple(thresholds), calibration_error=float(error))


def class_quality(label: str, n: int, called: int, right: int) -> ClassQuality:
    """Return a class's quality from counts.

    Args:
        label: Its name.
        n: Examples of it.
        called: Those that are called so.
        right: Those that are both.
    """
    precision = 100 * right / called if called else 0.0
    recall = 100 * right / n if n else 0.0
    return ClassQuality(label, n, precision, recall, 200 * right / max(1, n + called))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return chances (M, C) of logits (M, C), which add up to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
