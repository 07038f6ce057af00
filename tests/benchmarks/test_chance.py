"""A model that is no better than chance is said to be, with the order that explains it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.chance import chance_notes
from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, Scores, WordLabels

NAMES = ("worse", "same", "better")


def examples(labels: NDArray[np.int64]) -> Examples:
    return Examples(tuple(map(str, range(len(labels)))), ClassLabels(labels), NAMES)


def logits(said: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.eye(len(NAMES), dtype=np.float32)[said]


def test_a_permutation_is_named() -> None:
    labels = np.arange(90, dtype=np.int64) % 3
    said = np.array([2, 0, 1])[labels]
    said[:9] = labels[:9]  # right by chance
    (note,) = chance_notes(logits(said), examples(labels))
    assert note.startswith("The original model is right in 10.0% of the cases; always answering")
    assert "'worse' is 'better', 'same' is 'worse', 'better' is 'same'" in note
    assert "it is right in 90.0%" in note


def test_noise_is_said_without_an_order() -> None:
    labels = np.repeat(np.arange(3, dtype=np.int64), (50, 25, 25))
    (note,) = chance_notes(logits(np.zeros(100, dtype=np.int64)), examples(labels))
    assert note == (
        "The original model is right in 50.0% of the cases; always answering 'worse' would be in "
        "50.0%."
    )


@pytest.mark.parametrize("words", [False, True])
def test_a_good_model_needs_no_note(words: bool) -> None:
    labels = np.arange(90, dtype=np.int64) % 3
    said = labels.copy()
    said[:40] = 0
    counts = np.full(30, 3, dtype=np.int64)
    data = (
        Examples(("a b c",) * 30, WordLabels(labels, counts), NAMES) if words else examples(labels)
    )
    assert chance_notes(logits(said), data) == []


def test_scores_have_no_chance() -> None:
    data = Examples(("a", "b"), Scores(np.array([0.0, 1.0])), ("score",))
    assert chance_notes(np.zeros((2, 1), dtype=np.float32), data) == []
