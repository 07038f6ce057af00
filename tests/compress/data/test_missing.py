"""Empty cells are refused by name, left out, or filled where that does no harm."""

from pathlib import Path

import pytest

from compress.data import load_splits
from compress.data.missing import FILLER
from compress.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count in (("train", 40), ("validation", 20), ("test", 20)):
        rows = [f"text {name} {i},{('good', 'bad')[i % 4 == 0]}" for i in range(count)]
        rows[3] = f"text {name} 3,"
        rows[5] = ",good"
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_by_default_they_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="empty in 1 of 40 rows: data row"):
        load_splits(str(folder), label_names=None)


def test_they_can_be_left_out(folder: Path) -> None:
    splits = load_splits(str(folder), label_names=None, missing="drop")
    assert [len(p) for p in (splits.train, splits.selection, splits.report)] == [38, 18, 18]
    assert "2 train rows with empty cells were left out." in splits.notes


def test_only_training_text_is_filled(folder: Path) -> None:
    splits = load_splits(str(folder), label_names=None, missing="fill")
    assert [len(p) for p in (splits.train, splits.selection, splits.report)] == [40, 18, 18]
    assert FILLER in splits.train.texts
    filled = splits.train.texts.index("text train 3")
    assert splits.train.label_names[splits.train.labels[filled]] == "good", "the most frequent"
    assert "2 train rows with empty cells were filled." in splits.notes
    assert "2 test rows with empty cells were left out." in splits.notes
