"""Text classification: accuracy."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import metrics
from benchmarks.differences import Answer, Differences, Item, compare
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.expected import expected_drop as expected
from benchmarks.labels import Labels
from benchmarks.metrics import ClassDrop, Drop, Metric
from benchmarks.quality import Quality, quality_of, softmax

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
    """Return the predicted classes, of texts or of words."""
    return replace(examples.targets, values=logits.argmax(axis=1))


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


def quality(logits: Logits, examples: Examples) -> Quality:
    """Return the quality of the classes; scores are softmax."""
    return quality_of(softmax(logits), examples.labels, examples.label_names)


def differences(reference: Logits, logits: Logits, examples: Examples) -> Differences:
    """Return the texts that get another class."""
    pairs = examples.pairs or (None,) * len(examples)
    items = [
        Item(text, _name(examples, label), pair)
        for text, pair, label in zip(examples.texts, pairs, examples.labels, strict=True)
    ]
    return compare(items, _answers(reference, examples), _answers(logits, examples))


def _answers(logits: Logits, examples: Examples) -> list[Answer]:
    chances = softmax(logits)
    return [
        Answer(_name(examples, best), float(own[best]), bool(best == label))
        for own, best, label in zip(chances, chances.argmax(axis=1), examples.labels, strict=True)
    ]


def _name(examples: Examples, label: int) -> str:
    """Return a class's name; the tokens of a vocabulary have none here."""
    return examples.label_names[label] if examples.label_names else f"token {label}"
