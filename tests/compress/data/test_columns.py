"""Columns and labels: what convention finds, and what it refuses to guess."""

from collections.abc import Sequence
from typing import Any

import pytest

from compress.data.columns import NamedColumns, choose_columns
from compress.data.labels import match_labels, without_hidden
from compress.data.table import Table
from compress.errors import DataError


def table(*names: str, **columns: Sequence[Any]) -> Table:
    filled = {name: ["x"] for name in names} | columns
    return Table("some.csv", filled, len(next(iter(filled.values()))))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["text", "label"], ("text", None, "label")),
        (["id", "Utterance", "Intent"], ("Utterance", None, "Intent")),
        (["sentence1", "sentence2", "label", "idx"], ("sentence1", "sentence2", "label")),
        (["premise", "hypothesis", "class"], ("premise", "hypothesis", "class")),
        (["question", "sentence", "label"], ("question", "sentence", "label")),
        (["sentence", "label", "text"], ("text", None, "label")),
        (["label", "lyrics"], ("lyrics", None, "label")),
    ],
)
def test_columns_are_found_by_convention(
    names: list[str], expected: tuple[str, str | None, str]
) -> None:
    assert choose_columns(table(*names), NamedColumns()) == expected


def test_named_columns_win() -> None:
    there = table("text", "label", "title", "stars")
    assert choose_columns(there, NamedColumns(text="title", label="stars")) == (
        "title",
        None,
        "stars",
    )
    assert choose_columns(there, NamedColumns(pair="title")) == ("text", "title", "label")
    pair = table("sentence1", "sentence2", "label")
    assert choose_columns(pair, NamedColumns(text="sentence1")) == ("sentence1", None, "label")
    assert choose_columns(pair, NamedColumns(pair="sentence2")) == (
        "sentence1",
        "sentence2",
        "label",
    )


@pytest.mark.parametrize(
    ("names", "options", "message", "hint"),
    [
        (["text", "labels_x"], {}, "no label column.*text, labels_x", "--label-column"),
        (["lyrics", "poem", "label"], {}, "no text column.*lyrics, poem", "--text-column"),
        (["text", "label"], {"text": "txt"}, "no column 'txt'.*text, label", "--text-column text"),
        (["text", "label"], {"label": "zz"}, "no column 'zz'", "--label-column"),
        (["text", "label"], {"pair": "other"}, "no column 'other'", "--pair-column"),
    ],
)
def test_missing_columns_list_what_is_there(
    names: list[str], options: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        choose_columns(table(*names), NamedColumns(**options))
    assert hint in str(caught.value.hint)


def labels(
    values: Sequence[Any], names: Sequence[str] | None, declared: tuple[str, ...] | None = None
) -> tuple[list[int], tuple[str, ...], list[str]]:
    source = Table(
        "some.csv", {"label": values}, len(values), {"label": declared} if declared else {}
    )
    (array,), found, notes = match_labels([source], "label", names)
    return array.tolist(), found, notes


def test_names_match_whatever_their_case() -> None:
    values, names, notes = labels([" Positive", "NEGATIVE", "negative"], ["negative", "positive"])
    assert (values, names, notes) == ([1, 0, 0], ("negative", "positive"), [])


def test_names_that_differ_only_in_case_match_exactly() -> None:
    assert labels(["a", "A", "a"], ["A", "a"])[0] == [1, 0, 1]


@pytest.mark.parametrize(
    "values",
    [[1, 0, 1], ["1", "0", "1"], [1.0, 0.0, 1.0], [True, False, True], ["1.0", "0.0", "1"]],
)
def test_numbers_are_indices(values: list[Any]) -> None:
    indices, _, notes = labels(values, ["LABEL_0", "LABEL_1"])
    assert (indices, notes) == ([1, 0, 1], [])
    indices, _, notes = labels(values, ["negative", "positive"])
    assert indices == [1, 0, 1]
    assert "0 = negative, 1 = positive" in notes[0]


def test_numbers_that_are_names_are_names() -> None:
    assert labels([1, 5, 3], ["1", "2", "3", "4", "5"])[0] == [0, 4, 2]
    assert labels(["1.0", "2.0"], ["1.0", "2.0"])[0] == [0, 1]
    assert labels(["1.0", "2"], None)[1] == ("1", "2")
    assert labels(["1.0", "beta"], None)[1] == ("1.0", "beta")


def test_classes_that_differ_in_case_alone_are_noted() -> None:
    assert "Better and better" in labels(["better", "Better", "worse"], None)[2][0]


def test_decimal_commas_are_refused() -> None:
    with pytest.raises(DataError, match="decimal comma, such as 0,5") as caught:
        labels(["0,5", "1", "2,25"], None)
    assert "0.5" in str(caught.value.hint)
    assert labels(["a,b", "1,5"], None)[1] == ("1,5", "a,b")


def test_declared_names_are_matched_by_name() -> None:
    assert labels([0, 1], ["neg", "pos"], declared=("pos", "neg"))[0] == [1, 0]
    values, _, notes = labels([0, 1, 1], ["LABEL_0", "LABEL_1"], declared=("no", "yes"))
    assert values == [0, 1, 1]
    assert "no, yes" in notes[0]


def test_names_come_from_the_data_when_there_is_no_model() -> None:
    assert labels(["b", "a"], None)[:2] == ([1, 0], ("a", "b"))
    assert labels(["10", "9"], None)[:2] == ([1, 0], ("9", "10"))
    assert labels([1, 0], None, declared=("z", "a"))[:2] == ([1, 0], ("z", "a"))


def test_classes_without_examples_are_said() -> None:
    assert "1 of the 3 classes" in labels(["a", "b"], ["a", "b", "c"])[2][0]


@pytest.mark.parametrize(
    ("values", "names", "expected"),
    [
        (["good", "bad"], ["negative", "positive"], ["bad, good", "negative, positive"]),
        (["pos", "neg"], ["LABEL_0", "LABEL_1"], ["neg, pos", "LABEL_0, LABEL_1"]),
        ([0, 1, 2], ["negative", "positive"], ["0, 1, 2", "negative, positive"]),
        ([0.5, 1.0], ["a", "b"], ["0.5", "data row 1", "is a score"]),
        ([["a"], ["b"]], ["a", "b"], ["data row 1", "several labels"]),
        (["a", None, "b", " "], ["a", "b"], ["2 of 4 rows", "data row 2, 4"]),
        ([float("nan"), 1.0], ["a", "b"], ["1 of 2 rows", "data row 1"]),
        (["a", "a"], ["a", "b"], ["only one class: a"]),
    ],
)
def test_labels_that_do_not_fit(values: list[Any], names: list[str], expected: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        labels(values, names)
    assert all(words in caught.value.message for words in expected), caught.value.message
    assert caught.value.hint


def test_hidden_labels_are_recognised() -> None:
    tables = {
        "train": table("text", label=[-1, -1]),
        "validation": table("text", label=[-1, 0]),
        "test": table("text", Label=["-1", ""]),
        "more": table("text"),
    }
    left, notes = without_hidden(tables, "label", ["text"])
    assert list(left) == ["train", "validation"]
    assert "test split" in notes[0]
    assert "no labels: left out" in notes[1]
    assert list(without_hidden({"all": table("text")}, "label", ["text"])[0]) == ["all"]
