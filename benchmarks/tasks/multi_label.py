"""Several labels a text: F1 over all labels of all texts (micro average)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Answer, Differences, Item, compare
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop, as_measured
from benchmarks.labels import Labels
from benchmarks.metrics import ClassDrop, Drop, Metric, equally_right
from benchmarks.quality import Quality, calibration, class_quality
from benchmarks.stats import ratio_difference_interval, ratio_interval

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

Logits = NDArray[np.float32]


def answers(logits: Logits, examples: Examples) -> Labels:
    """Return the labels whose chance is above a half."""
    return replace(examples.targets, values=(logits > 0).astype(np.int64))


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
            before, after = reference[own, index] > 0, logits[own, index] > 0
            found.append(ClassDrop.of(name, before.astype(float) - after))
    return tuple(found)


def quality(logits: Logits, examples: Examples) -> Quality:
    """Return the quality of each label, and how far the scores of all of them hold."""
    called, true = logits > 0, examples.labels.astype(bool)
    counts = (true.sum(axis=0), called.sum(axis=0), (true & called).sum(axis=0))
    of_classes = zip(examples.label_names, *(each.tolist() for each in counts), strict=True)
    chances = _chances(logits)
    found = calibration(np.maximum(chances, 1 - chances).ravel(), (called == true).ravel())
    return replace(found, classes=tuple(class_quality(*each) for each in of_classes))


def differences(reference: Logits, logits: Logits, examples: Examples) -> Differences:
    """Return the texts that get other labels; their score is that of the least sure label."""
    pairs = examples.pairs or (None,) * len(examples)
    items = [
        Item(text, _named(own, examples), pair)
        for text, pair, own in zip(examples.texts, pairs, examples.labels == 1, strict=True)
    ]
    return compare(items, _answers(reference, examples), _answers(logits, examples))


def changed(one: Logits, other: Logits) -> NDArray[np.bool_]:
    """Return (N,) where a text has other labels."""
    return np.asarray(((one > 0) != (other > 0)).any(axis=1))


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the measured drop, and the spread of what other texts would have given."""
    return as_measured(drop(reference, logits, examples, seed=0))


def _answers(logits: Logits, examples: Examples) -> list[Answer]:
    chances, called = _chances(logits), logits > 0
    surest = np.maximum(chances, 1 - chances).min(axis=1)
    right = (called == examples.labels).all(axis=1)
    return [
        Answer(_named(own, examples), float(score), bool(true))
        for own, score, true in zip(called, surest, right, strict=True)
    ]


def _named(chosen: NDArray[np.bool_], examples: Examples) -> str:
    return ", ".join(np.array(examples.label_names)[chosen]) or "none"


def _chances(logits: Logits) -> NDArray[np.float64]:
    # Half a hyperbolic tangent, which does not overflow.
    return np.asarray(0.5 + 0.5 * np.tanh(logits.astype(np.float64) / 2))


def _f1_parts(
    logits: Logits, examples: Examples
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N,) twice the right labels, (N,) predicted and true ones: F1 is the sums' ratio."""
    predicted, true = logits > 0, examples.labels.astype(bool)
    right = 2.0 * (predicted & true).sum(axis=1)
    return right, predicted.sum(axis=1) + true.sum(axis=1).astype(np.float64)
