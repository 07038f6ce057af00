"""Words with tags: from files to examples."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.labels import WordLabels
from compress.data import load_splits
from compress.data.columns import NamedColumns
from compress.errors import DataError

TASK = "token-classification"


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        cities = rng.random(3) < 0.3
        words = [f"w{number}", *(("rome" if city else "walk") for city in cities)]
        found.append({"tokens": words, "tags": ["O", *("B-city" if c else "O" for c in cities)]})
    return found


def test_words_and_tags_become_examples(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", rows(100))
    splits = load_splits(source, label_names=("O", "B-city"), task=TASK)
    assert splits.train.task == TASK
    assert len(splits.train) + len(splits.selection) + len(splits.report) == 100
    for part in (splits.train, splits.selection, splits.report):
        assert isinstance(part.targets, WordLabels)
        for index, text in enumerate(part.texts):
            tags = ["B-city" if word == "rome" else "O" for word in text.split()]
            assert [part.label_names[i] for i in part.targets.of(index)] == tags
    again = load_splits(source, label_names=("O", "B-city"), task=TASK)
    assert again.fingerprint == splits.fingerprint


def test_rare_tags_reach_every_split(tmp_path: Path) -> None:
    data = rows(200)
    for index in range(0, 200, 10):
        data[index]["tags"][0] = "B-name"
    splits = load_splits(write(tmp_path / "data.jsonl", data), label_names=None, task=TASK)
    name = splits.train.label_names.index("B-name")
    counts = [int((part.labels == name).sum()) for part in (splits.selection, splits.report)]
    assert counts == [2, 2]


def test_strings_are_split_and_spaces_in_words_replaced(tmp_path: Path) -> None:
    data = rows(40)
    data[0] = {"tokens": ["new york", "x"], "tags": "B-city O"}
    source = write(tmp_path / "data.jsonl", data)
    splits = load_splits(source, label_names=None, task=TASK)
    parts = (splits.train, splits.selection, splits.report)
    assert "new_york x" in {text for part in parts for text in part.texts}
    assert any("white space" in note for note in splits.notes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "data row 1: 2 words in 'tokens' and 1 tags"),
        ({"tokens": [], "tags": []}, "data row 1: 0 words"),
        ({"tokens": 3, "tags": ["O"]}, "data row 1, column 'tokens': expected a list"),
        ({"tokens": ["a"], "tags": ["B-planet"]}, "B-planet"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    source = write(tmp_path / "data.jsonl", [row, *rows(40)])
    with pytest.raises(DataError, match=message):
        load_splits(source, label_names=("O", "B-city"), task=TASK)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", [{"x": ["a"], "y": ["O"]}] * 30)
    with pytest.raises(DataError, match="no column of words"):
        load_splits(source, label_names=None, task=TASK)
    named = load_splits(
        write(tmp_path / "other.jsonl", [{"x": r["tokens"], "y": r["tags"]} for r in rows(40)]),
        label_names=None,
        task=TASK,
        columns=NamedColumns("x", label="y"),
    )
    assert named.notes[0] == "Words from column 'x', tags from 'y'."
