"""Token classification: entity-level F1; accuracy of words where tags mark no entities."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks import metrics
from benchmarks.differences import Answer, Differences, Item, compare
from benchmarks.entities import entities, kind_of, marks_entities
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.expected import expected_drop as expected
from benchmarks.labels import WordLabels
from benchmarks.metrics import ClassDrop, Drop, Metric, equally_right
from benchmarks.quality import Quality, class_quality, quality_of, softmax
from benchmarks.stats import ratio_difference_interval, ratio_interval
from benchmarks.tasks import text_classification
from benchmarks.tasks.text_classification import answers, changed

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
Entities = list[set[tuple[str, int, int]]]


def metric(logits: Logits, examples: Examples) -> Metric:
    """Return F1 of entities: right are those of the true kind and extent (micro average).

    Its interval resamples texts.
    """
    if not marks_entities(examples.label_names):
        return text_classification.metric(logits, examples)
    right, of = _f1_parts(_predicted(logits, examples), _true(examples))
    return Metric.of("F1", ratio_interval(right, of), len(examples))


def drop(reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
    """Return the points of F1 lost; the p-value is of texts without a wrong tag."""
    if not marks_entities(examples.label_names):
        return text_classification.drop(reference, logits, examples, seed=seed)
    true = _true(examples)
    before = _f1_parts(_predicted(reference, examples), true)
    after = _f1_parts(_predicted(logits, examples), true)
    interval = ratio_difference_interval(before, after, seed=seed)
    whole = partial(np.logical_and.reduceat, indices=_starts(examples)[:-1])
    first = whole(reference.argmax(axis=1) == examples.labels)
    second = whole(logits.argmax(axis=1) == examples.labels)
    return Drop.of(interval, equally_right(first, second))


def drop_by_class(reference: Logits, logits: Logits, examples: Examples) -> tuple[ClassDrop, ...]:
    """Return the points of each kind's entities that are not found any more."""
    if not marks_entities(examples.label_names):
        return text_classification.drop_by_class(reference, logits, examples)
    true = _true(examples)
    before, after = _predicted(reference, examples), _predicted(logits, examples)
    found = []
    for kind in _kinds(examples):
        lost = [
            float(entity in first) - (entity in second)
            for entities, first, second in zip(true, before, after, strict=True)
            for entity in sorted(entities)
            if entity[0] == kind
        ]
        if lost:
            found.append(ClassDrop.of(kind, np.array(lost)))
    return tuple(found)


def quality(logits: Logits, examples: Examples) -> Quality:
    """Return the quality of entities by their kind; what words are taken for, and whether scores of
    words hold."""
    if not marks_entities(examples.label_names):
        return text_classification.quality(logits, examples)
    kinds = ["", *_kinds(examples)]  # "" is no entity
    of_tag = np.array([kinds.index(kind_of(name)) for name in examples.label_names])
    chances = np.zeros((len(logits), len(kinds)))
    np.add.at(chances.T, of_tag, softmax(logits).T)  # a kind's chance is that of all its tags
    found = quality_of(chances, of_tag[examples.labels], ["none", *kinds[1:]])
    true, called = _true(examples), _predicted(logits, examples)
    right = Counter(kind for a, b in zip(true, called, strict=True) for kind, *_ in a & b)
    counts = [Counter(kind for own in each for kind, *_ in own) for each in (true, called)]
    classes = tuple(
        class_quality(kind, counts[0][kind], counts[1][kind], right[kind])
        for kind in kinds[1:]
        if counts[0][kind] or counts[1][kind]
    )
    return replace(found, classes=classes)


def differences(reference: Logits, logits: Logits, examples: Examples) -> Differences:
    """Return the texts that get other entities, or other tags; their score is that of the least
    sure word."""
    true = _shown(examples.labels, examples)
    items = [Item(text, own) for text, own in zip(examples.texts, true, strict=True)]
    return compare(items, _answers(reference, examples), _answers(logits, examples))


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the drop of the words' accuracy in points of F1: as many for a word as the reference's
    errors cost it."""
    lost = expected(reference, logits, examples.labels)
    if not marks_entities(examples.label_names):
        return lost
    wrong = 100 - metrics.accuracy(reference.argmax(axis=1), examples.labels).value
    each = (100 - metric(reference, examples).value) / wrong if wrong > 0 else 1.0
    return ExpectedDrop(each * lost.value, each * lost.standard_error)


def _answers(logits: Logits, examples: Examples) -> list[Answer]:
    starts = _starts(examples)[:-1]
    surest = np.minimum.reduceat(softmax(logits).max(axis=1), starts)
    shown = _shown(logits.argmax(axis=1), examples)
    true = _shown(examples.labels, examples)
    return [
        Answer(own, float(score), own == right)
        for own, score, right in zip(shown, surest, true, strict=True)
    ]


def _shown(indices: NDArray[np.int64], examples: Examples) -> list[str]:
    """Return in words what each text's tags mark, or the tags where they mark nothing."""
    if not marks_entities(examples.label_names):
        names = [examples.label_names[index] for index in indices]
        return [" ".join(names[start:stop]) for start, stop in pairwise(_starts(examples))]
    shown = []
    for text, found in zip(examples.texts, _entities(indices, examples), strict=True):
        words = text.split()
        placed = sorted(found, key=lambda entity: entity[1:])
        told = [f"{kind}: {' '.join(words[start:stop])}" for kind, start, stop in placed]
        shown.append("; ".join(told) or "none")
    return shown


def _kinds(examples: Examples) -> list[str]:
    """Return the kinds of entities, in the order of the labels."""
    return list(dict.fromkeys(kind for name in examples.label_names if (kind := kind_of(name))))


def _predicted(logits: Logits, examples: Examples) -> Entities:
    return _entities(logits.argmax(axis=1), examples)


def _true(examples: Examples) -> Entities:
    return _entities(examples.labels, examples)


def _entities(indices: NDArray[np.int64], examples: Examples) -> Entities:
    tags = [examples.label_names[index] for index in indices]
    return [entities(tags[start:stop]) for start, stop in pairwise(_starts(examples))]


def _starts(examples: Examples) -> NDArray[np.int64]:
    """Return (N + 1,) where each text's words start."""
    assert isinstance(examples.targets, WordLabels)  # examples of this task have them
    return examples.targets.starts


def _f1_parts(
    predicted: Entities, true: Entities
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (N,) twice the right entities, (N,) predicted and true ones: F1 is the sums' ratio."""
    right = [2.0 * len(a & b) for a, b in zip(predicted, true, strict=True)]
    of = [float(len(a) + len(b)) for a, b in zip(predicted, true, strict=True)]
    return np.array(right), np.array(of)
