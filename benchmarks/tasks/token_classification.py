"""Token classification: entity-level F1; accuracy of words where tags mark no entities."""

from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks import metrics
from benchmarks.entities import entities, kind_of, marks_entities
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.expected import expected_drop as expected
from benchmarks.labels import WordLabels
from benchmarks.metrics import ClassDrop, Drop, Metric, equally_right
from benchmarks.stats import ratio_difference_interval, ratio_interval
from benchmarks.tasks import text_classification
from benchmarks.tasks.text_classification import changed

__all__ = ["changed", "drop", "drop_by_class", "expected_drop", "metric"]

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
    for kind in dict.fromkeys(kind_of(name) for name in examples.label_names if name != "O"):
        own = [{entity for entity in entities if entity[0] == kind} for entities in true]
        count = sum(map(len, own))
        if count:
            lost = sum(len(a & b) - len(a & c) for a, b, c in zip(own, before, after, strict=True))
            found.append(ClassDrop(kind, count, 100 * lost / count))
    return tuple(found)


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the drop of the words' accuracy in points of F1: as many for a word as the reference's
    errors cost it."""
    lost = expected(reference, logits, examples.labels)
    if not marks_entities(examples.label_names):
        return lost
    wrong = 100 - metrics.accuracy(reference.argmax(axis=1), examples.labels).value
    each = (100 - metric(reference, examples).value) / wrong if wrong > 0 else 1.0
    return ExpectedDrop(each * lost.value, each * lost.standard_error)


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
