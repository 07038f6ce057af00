"""Lists written as text are lists, or are refused; text with a bracket stays text."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.labels import WordLabels
from compress.data import load_splits
from compress.data.lists import with_lists
from compress.data.table import Table
from compress.errors import DataError

SPELLINGS: list[Callable[[list[Any]], str]] = [str, json.dumps]


def numpy_spelling(items: list[Any]) -> str:
    return f"[{' '.join(map(repr, items))}]"


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def tagged(count: int) -> list[tuple[list[str], list[str]]]:
    return [([f"w{i}", "can't", '"', "rome"], ["O", "O", "O", "B-LOC"]) for i in range(count)]


def table(*cells: Any) -> dict[str, Table]:
    return {"all": Table("a.csv", {"x": list(cells)}, len(cells))}


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_words_and_tags_of_a_csv_file(tmp_path: Path, spelled: Callable[[list[Any]], str]) -> None:
    rows = [{"Tokens": spelled(words), "tags": spelled(tags)} for words, tags in tagged(40)]
    splits = load_splits(
        write(tmp_path / "a.csv", rows), label_names=None, task="token-classification"
    )
    assert splits.train.label_names == ("B-LOC", "O")
    assert isinstance(splits.train.targets, WordLabels)
    assert all(text.endswith(" can't \" rome") for text in splits.train.texts)
    assert splits.train.targets.of(0).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_several_labels_of_a_csv_file(tmp_path: Path, spelled: Callable[[list[Any]], str]) -> None:
    sets = [["praise"], ["film", "praise"], [], ["film"]]
    rows = [{"text": f"text {i}", "labels": spelled(sets[i % 4])} for i in range(40)]
    splits = load_splits(write(tmp_path / "a.csv", rows), label_names=None)
    assert splits.train.label_names == ("film", "praise")
    assert splits.train.problem_type == "multi_label_classification"
    found = {
        (int(text.split()[1]) % 4, *labels.tolist())
        for text, labels in zip(splits.train.texts, splits.train.labels, strict=True)
    }
    assert found == {(0, 0, 1), (1, 1, 1), (2, 0, 0), (3, 1, 0)}


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_choices_of_a_csv_file(tmp_path: Path, spelled: Callable[[list[Any]], str]) -> None:
    rows = [
        {"prompt": f"q{i}", "choices": spelled([f"a{i}", f"b, {i}"]), "label": i % 2}
        for i in range(40)
    ]
    splits = load_splits(write(tmp_path / "a.csv", rows), label_names=None, task="multiple-choice")
    assert splits.train.pairs is not None
    assert splits.train.pairs[:2] == ("a0", "b, 0")


@pytest.mark.parametrize(
    "cell",
    ["['O' 'B-LOC']", "['O', 'B-LOC", "[O, B-LOC]", "O B-LOC", "[['O']]", "[None]", "[" * 9999],
)
def test_cells_that_are_no_lists_are_refused(tmp_path: Path, cell: str) -> None:
    rows = [{"tokens": str(words), "tags": str(tags)} for words, tags in tagged(40)]
    rows[6]["tags"] = cell
    with pytest.raises(DataError, match=r"a\.csv: data row 7, column 'tags'.*is no list"):
        load_splits(write(tmp_path / "a.csv", rows), label_names=None, task="token-classification")


def test_arrays_as_numpy_writes_them_are_refused(tmp_path: Path) -> None:
    rows = [
        {"tokens": numpy_spelling(words), "tags": numpy_spelling(tags)}
        for words, tags in tagged(40)
    ]
    with pytest.raises(DataError, match="data row 1, column 'tokens'"):
        load_splits(write(tmp_path / "a.csv", rows), label_names=None, task="token-classification")


def test_text_with_a_bracket_stays_text() -> None:
    for cells in (["[ Reuters ] Rome", "Paris"], ["a", None, 3, ["b"]], []):
        assert with_lists(table(*cells), "x") == table(*cells)
    assert with_lists(table("[A]", "[B]"), "x", ["[A]", "[B]"]) == table("[A]", "[B]")
    assert with_lists(table("[1, 2]", None, " "), "x") == table([1, 2], None, " ")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text() | st.integers() | st.booleans()), st.sampled_from(SPELLINGS))
def test_what_was_written_is_read(items: list[Any], spelled: Callable[[list[Any]], str]) -> None:
    assert with_lists(table(spelled(items)), "x") == table(items)
