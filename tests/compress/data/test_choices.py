"""Questions with choices in tables of every form, and what can be wrong with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tasks import get_measure
from benchmarks.tasks.multiple_choice import by_question
from compress.data import load_splits
from compress.errors import DataError

TASK = "multiple-choice"


def write(path: Path, *, count: int = 60, **changes: Any) -> str:
    rows = []
    for number in range(count):
        row = {"prompt": f"p{number}", "choices": [f"a{number}", "b", "c"], "label": number % 3}
        rows.append(row | changes if number == 3 else row)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return str(path)


def test_questions_stay_whole(tmp_path: Path) -> None:
    splits = load_splits(write(tmp_path / "data.jsonl"), label_names=None, task=TASK)
    seen: list[str] = []
    for part in (splits.train, splits.selection, splits.report):
        assert part.targets.groups is not None
        _, counts = np.unique(part.targets.groups, return_counts=True)
        assert set(counts) == {3}
        scores, right = by_question(part.labels[:, None].astype(np.float32), part)
        assert (scores.max(axis=1) == 1).all()
        numbers = [int(text[1:]) for text in part.texts[::3]]
        assert [number % 3 for number in numbers] == right.tolist()
        seen += part.texts[::3]
    assert len(seen) == len(set(seen)) == 60


@pytest.mark.parametrize("label", [0, "0", "A", "a", "a3"])
def test_labels_are_places_letters_or_texts(label: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", label=label)
    splits = load_splits(data, label_names=None, task=TASK)
    parts = (splits.train, splits.selection, splits.report)
    [right] = [
        pair
        for part in parts
        for text, pair, label in zip(part.texts, part.pairs or (), part.labels, strict=True)
        if text == "p3" and label == 1
    ]
    assert right == "a3"


def test_a_number_is_a_place_even_among_numbers(tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", choices=["2", "0", "1"], label=0)
    splits = load_splits(data, label_names=None, task=TASK)
    parts = (splits.train, splits.selection, splits.report)
    rows = [row for p in parts for row in zip(p.texts, p.pairs or (), p.labels, strict=True)]
    assert [pair for text, pair, label in rows if text == "p3" and label == 1] == ["2"]


def test_a_test_split_that_hides_its_labels_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl")
    write(tmp_path / "validation.jsonl", count=40)
    hidden = {"prompt": "q", "choices": ["a", "b"], "label": ""}
    (tmp_path / "test.jsonl").write_text(json.dumps(hidden) + "\n")
    texts = (tmp_path / "validation.jsonl").read_text().replace("p", "v")
    (tmp_path / "validation.jsonl").write_text(texts.replace("vromvt", "prompt"))
    splits = load_splits(str(tmp_path), label_names=None, task=TASK)
    assert any("test split (1) has no labels" in note for note in splits.notes)
    assert len(splits.selection) + len(splits.report) == 3 * 40
    assert not any("more than once" in note for note in splits.notes)


def test_questions_are_counted_not_their_choices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="15 examples are too few to split"):
        load_splits(write(tmp_path / "data.jsonl", count=15), label_names=None, task=TASK)


def test_numbered_columns(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    lines = ["sent1,ending0,ending1,label"] + [f"s{i},x{i},y{i},{i % 2}" for i in range(60)]
    path.write_text("\n".join(lines) + "\n")
    train = load_splits(str(path), label_names=None, task=TASK).train
    assert train.pairs is not None
    assert {pair[0] for pair in train.pairs} == {"x", "y"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label": 7}, "data row 4.*7 is none of its 3 choices"),
        ({"choices": ["one"]}, "data row 4.*two choices"),
        ({"choices": "one"}, "data row 4.*no list of choices"),
        ({"prompt": ""}, "data row 4: there is no prompt"),
    ],
)
def test_bad_rows_are_named(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=expected):
        load_splits(write(tmp_path / "data.jsonl", **changes), label_names=None, task=TASK)


def test_accuracy_of_questions(tmp_path: Path) -> None:
    report = load_splits(write(tmp_path / "data.jsonl"), label_names=None, task=TASK).report
    measure = get_measure(report)
    right = report.labels[:, None].astype(np.float32)
    assert measure.metric(right, report).value == 100
    assert measure.metric(-right, report).value == 0
    worse = right.copy()
    worse[:3] *= -1  # one question
    lost = measure.drop(right, worse, report, seed=0)
    assert lost.value == pytest.approx(100 / (len(report) / 3))
    assert lost.low <= lost.value <= lost.high
    assert measure.expected_drop(right, worse, report).value > 0
