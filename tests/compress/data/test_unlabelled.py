"""Text without labels: what is read, what is left out, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.data import Splits, load_unlabelled
from compress.data.columns import NamedColumns
from compress.errors import DataError


def examples(*texts: str, pairs: tuple[str, ...] | None = None) -> Examples:
    return Examples(texts, ClassLabels(np.zeros(len(texts), dtype=np.int64)), ("no", "yes"), pairs)


SPLITS = Splits(examples("a train text"), examples("chosen with"), examples("reported on"), (), "")
PAIRS = Splits(
    examples("a", pairs=("b",)), examples("c", pairs=("d",)), examples("e", pairs=("f",)), (), ""
)


def test_lines_of_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("one\n\n  two \nOne\nReported  on\nchosen with\na train text\n三\n", "utf-8")
    assert load_unlabelled(file, SPLITS).texts == ("one", "two", "三")


def test_characters_inside_a_text_end_no_line(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    texts = tuple(f"{i}{end}two" for i, end in enumerate("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
    file.write_bytes("\r\n".join(texts).encode())
    assert load_unlabelled(file, SPLITS).texts == texts


def test_a_column_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "more.csv"
    file.write_text("id,Text,body\n1,one,uno\n2,,dos\n3,two,tres\n", "utf-8")
    assert load_unlabelled(file, SPLITS).texts == ("one", "two")
    assert load_unlabelled(file, SPLITS, columns=NamedColumns("body")).texts == (
        "uno",
        "dos",
        "tres",
    )
    with pytest.raises(DataError, match="no column 'bodi'"):
        load_unlabelled(file, SPLITS, columns=NamedColumns("bodi"))


def test_pairs(tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "x", "text_pair": "y"}\n{"text": "e", "text_pair": "f"}\n', "utf-8")
    more = load_unlabelled(file, PAIRS)
    assert (more.texts, more.pairs) == (("x",), ("y",))
    lines = tmp_path / "more.txt"
    lines.write_text("x\n", "utf-8")
    with pytest.raises(DataError, match="no second sentences"):
        load_unlabelled(lines, PAIRS)


def test_nothing_new_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("reported on\n\n", "utf-8")
    with pytest.raises(DataError, match="labelled data does not have"):
        load_unlabelled(file, SPLITS)
    with pytest.raises(DataError, match="no such file"):
        load_unlabelled(tmp_path / "none.txt", SPLITS)
    file.write_bytes(b"\xffbad")
    with pytest.raises(DataError, match="UTF-8"):
        load_unlabelled(file, SPLITS)
