"""Text with masks, and text that is masked here."""

import json
from pathlib import Path
from typing import Any

import pytest

from compress.data import load_splits
from compress.errors import DataError

NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sun", "rises", "cat", *"abcdefghij"]


def splits(path: Path, rows: list[dict[str, Any]], names: list[str] | None = NAMES) -> Any:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return load_splits(str(path), label_names=names, task="fill-mask")


def test_masks_of_the_data(tmp_path: Path) -> None:
    rows = [
        {"text": f"{NAMES[9 + i % 10]} {NAMES[9 + i // 10]} [MASK] [MASK]", "label": "The sun"}
        for i in range(60)
    ]
    found = splits(tmp_path / "data.jsonl", rows)
    train = found.train
    assert train.targets.words.tolist() == [2] * len(train)
    assert train.labels.tolist() == [5, 6] * len(train)
    assert sum(map(len, (found.train, found.selection, found.report))) == 60


def test_plain_text_is_masked_always_alike(tmp_path: Path) -> None:
    rows = [{"text": f"The {'cat ' * (i + 1)}rises unknownword{i}, sun."} for i in range(60)]
    rows.append({"text": "nothing known"})
    one, other = (splits(tmp_path / f"{name}.jsonl", rows) for name in "ab")
    assert one.fingerprint == other.fingerprint
    assert any("1 texts have no word" in note for note in one.notes)
    for part in (one.train, one.selection, one.report):
        for index, text in enumerate(part.texts):
            own = part.targets.of(index)
            assert text.count("[MASK]") == len(own) == max(1, round((text.count(" ") + 1) / 7))
            filled = text
            for token in own:
                filled = filled.replace("[MASK]", NAMES[token], 1)
            assert filled.lower() in {row["text"].lower() for row in rows}


def test_words_of_byte_level_vocabularies_have_a_space_before_them(tmp_path: Path) -> None:
    names = ["<mask>", "Ġsun", "sun", *(f"Ġ{letter}" for letter in "abcdefghij")]
    rows = [
        {"text": f"{names[3 + i % 10][1:]} {'x' * (i + 1)} <mask>", "label": ("sun", "a")[i % 2]}
        for i in range(60)
    ]
    found = splits(tmp_path / "data.jsonl", rows, names)
    assert set(found.train.labels.tolist()) == {1, 3}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "a [MASK]", "label": "elephants"}, "data row 1: 'elephants' is not one token"),
        ({"text": "a [MASK] [MASK]", "label": "sun"}, "each of the 2 masks"),
        ({"text": "a [MASK]"}, "no column says"),
    ],
)
def test_bad_rows_are_named(row: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=expected):
        splits(tmp_path / "data.jsonl", [row] * 3)


def test_a_vocabulary_without_a_mask(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no token for what is masked"):
        splits(tmp_path / "data.jsonl", [{"text": "the sun"}] * 3, ["the", "sun"])
