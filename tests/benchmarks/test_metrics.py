"""Accuracy and drop in points."""

import numpy as np
import pytest

from benchmarks.metrics import accuracy, drop, drop_by_class

LABELS = np.array([0, 1] * 100)


def wrong_on(*indices: int) -> np.ndarray:
    predictions = LABELS.copy()
    predictions[list(indices)] = 1 - predictions[list(indices)]
    return predictions


def test_accuracy_is_in_points_with_an_interval():
    metric = accuracy(wrong_on(*range(20)), LABELS)

    assert metric.name == "accuracy"
    assert metric.value == 90.0
    assert metric.n == 200
    assert 80 < metric.low < 90 < metric.high < 95


def test_drop_is_positive_where_the_model_is_worse():
    lost = drop(wrong_on(1), wrong_on(1, 2, 3, 4, 5), LABELS)

    assert lost.value == pytest.approx(2.0)
    assert lost.low <= 2.0 <= lost.high
    assert lost.p_value == pytest.approx(0.125)  # four changes, all for the worse: 2 / 2**4


def test_drop_is_paired():
    # Both are wrong on ten examples: ten times the same ten, or ten others.
    same = drop(wrong_on(*range(10)), wrong_on(*range(10)), LABELS)
    others = drop(wrong_on(*range(10)), wrong_on(*range(10, 20)), LABELS)

    assert same.value == others.value == 0.0
    assert (same.low, same.high) == (0.0, 0.0)
    assert others.low < -1 < 1 < others.high


def test_gain_is_a_negative_drop():
    assert drop(wrong_on(1, 2), wrong_on(), LABELS).value == pytest.approx(-1.0)


def test_drop_by_class_adds_up_to_the_drop():
    labels = np.array([0, 0, 0, 2, 2], dtype=np.int64)
    reference = np.array([0, 0, 1, 2, 1], dtype=np.int64)  # wrong on one of each
    model = np.array([1, 2, 0, 2, 2], dtype=np.int64)
    parts = drop_by_class(reference, model, labels, ("a", "nowhere", "c"))

    assert [(part.label, part.n) for part in parts] == [("a", 3), ("c", 2)]
    assert [part.value for part in parts] == pytest.approx([100 / 3, -50])
    whole = drop(reference, model, labels).value
    assert sum(part.n * part.value for part in parts) / len(labels) == pytest.approx(whole)


def test_lengths_must_match():
    with pytest.raises(ValueError, match="predictions"):
        accuracy(LABELS[:-1], LABELS)
    with pytest.raises(ValueError, match="predictions"):
        accuracy(LABELS[:0], LABELS[:0])
