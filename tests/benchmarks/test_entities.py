"""Entities as the CoNLL shared tasks count them, and F1 with its interval."""

import numpy as np
import pytest

from benchmarks.entities import entities, kind_of
from benchmarks.examples import Examples
from benchmarks.labels import WordLabels
from benchmarks.tasks import get_measure

NAMES = ("O", "B-city", "I-city", "B-day")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", set()),
        ("B-a I-a O", {("a", 0, 2)}),
        ("B-a B-a", {("a", 0, 1), ("a", 1, 2)}),
        ("I-a I-a", {("a", 0, 2)}),
        ("B-a I-b", {("a", 0, 1), ("b", 1, 2)}),
        ("O I-a O I-a", {("a", 1, 2), ("a", 3, 4)}),
        ("B-a L-a U-b", {("a", 0, 2), ("b", 2, 3)}),
        ("S-a E-a B-a E-a", {("a", 0, 1), ("a", 1, 2), ("a", 2, 4)}),
        ("B-x-y I-x-y", {("x-y", 0, 2)}),
    ],
)
def test_entities(tags: str, expected: set[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == expected


def test_kinds() -> None:
    assert [kind_of(tag) for tag in ("B-a", "O", "NOUN", "I-x-y")] == ["a", "", "NOUN", "x-y"]


def examples(rows: list[str]) -> Examples:
    tags = [row.split() for row in rows]
    return Examples(
        texts=tuple(" ".join("w" for _ in own) for own in tags),
        targets=WordLabels(
            np.array([NAMES.index(tag) for own in tags for tag in own]),
            np.array([len(own) for own in tags]),
        ),
        label_names=NAMES,
        task="token-classification",
    )


def logits(rows: list[str]) -> np.ndarray:
    found = [NAMES.index(tag) for row in rows for tag in row.split()]
    return np.eye(len(NAMES), dtype=np.float32)[found]


TRUE = ["B-city I-city O", "O B-day", "O O O", "B-city O B-day"]
GUESS = ["B-city O O", "O B-day", "O B-day O", "B-city O B-day"]


def test_f1_counts_whole_entities() -> None:
    metric = get_measure(examples(TRUE)).metric(logits(GUESS), examples(TRUE))
    # right: day, city, day; predicted 5, true 4
    assert metric.name == "F1"
    assert metric.value == pytest.approx(100 * 2 * 3 / 9)
    assert metric.low <= metric.value <= metric.high
    assert metric.n == 4


def test_the_drop_is_paired_and_falls_on_kinds() -> None:
    measure = get_measure(examples(TRUE))
    true = examples(TRUE)
    drop = measure.drop(logits(TRUE), logits(GUESS), true, seed=0)
    assert drop.value == pytest.approx(100 - 100 * 2 * 3 / 9)
    assert drop.low <= drop.value <= drop.high
    assert drop.p_value == pytest.approx(0.5)  # two texts, both lost
    same = measure.drop(logits(GUESS), logits(GUESS), true, seed=0)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    by_class = {
        c.label: (c.n, c.value) for c in measure.drop_by_class(logits(TRUE), logits(GUESS), true)
    }
    assert by_class == {"city": (2, 50.0), "day": (2, 0.0)}


def test_the_expected_drop_is_in_points_of_f1() -> None:
    measure = get_measure(examples(TRUE))
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(NAMES, size=8)) for _ in range(200)]
    true = examples(rows)
    reference = 4 * logits(rows) + rng.normal(size=(1600, 4)).astype(np.float32)
    worse = reference + rng.normal(size=(1600, 4)).astype(np.float32)
    expected = measure.expected_drop(reference, worse, true)
    measured = measure.drop(reference, worse, true, seed=0)
    assert measured.low < expected.value < measured.high
    assert expected.value > 3


def test_tags_that_mark_no_entities_are_classes_of_words() -> None:
    true = Examples(
        ("a b", "c"),
        WordLabels(np.array([0, 1, 1]), np.array([2, 1])),
        ("DET", "NOUN"),
        task="token-classification",
    )
    found = np.eye(2, dtype=np.float32)[[0, 0, 1]]
    metric = get_measure(examples(TRUE)).metric(found, true)
    assert (metric.name, metric.n) == ("accuracy", 3)
    assert metric.value == pytest.approx(200 / 3)


def test_examples_keep_the_labels_of_their_words() -> None:
    taken = examples(TRUE).take([3, 1])
    assert [taken.label_names[i] for i in taken.labels] == ["B-city", "O", "B-day", "O", "B-day"]
    assert taken.targets.of(1).tolist() == [0, 3]
    assert taken.take([]).labels.shape == (0,)
