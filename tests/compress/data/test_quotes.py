"""Quotes and odd line ends neither swallow a row nor make two of one, without a word."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.reading import read_file
from compress.errors import DataError

# Line ends of `str.splitlines` that are none of a file.
INNER = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def rows(count: int, separator: str = ",") -> list[str]:
    return [f"film {i} is fine{separator}{'better' if i % 2 else 'worse'}" for i in range(count)]


def write(path: Path, lines: list[str], header: str = "text,label") -> Path:
    path.write_bytes("\n".join([header, *lines, ""]).encode())
    return path


@pytest.mark.parametrize("character", INNER)
def test_lone_quotes_in_tsv_swallow_nothing(tmp_path: Path, character: str) -> None:
    lines = rows(60, "\t")
    lines[3], lines[40] = f'"{lines[3]}', f'"{lines[40]}'
    lines[11] = f"a{character}b\tworse"
    table = read_file(write(tmp_path / "a.tsv", lines, "text\tlabel"))
    assert len(table) == 60
    assert table.columns["text"][3] == '"film 3 is fine'
    assert table.columns["text"][11] == f"a{character}b"


@pytest.mark.parametrize(("first", "second"), [(3, 4), (3, 5), (3, 50)])
@pytest.mark.parametrize("closing", ['"film is bad,worse', 'film is bad",worse'])
def test_lone_quotes_in_csv_are_refused(
    tmp_path: Path, first: int, second: int, closing: str
) -> None:
    lines = rows(60)
    lines[first], lines[second] = '"film is good,better', closing
    with pytest.raises(DataError) as caught:
        read_file(write(tmp_path / "a.csv", lines))
    assert f"a.csv: line {first + 2}: a quote swallows" in caught.value.message
    assert f"up to line {second + 2}." in caught.value.message
    assert caught.value.hint


def test_a_quote_in_every_row_is_refused(tmp_path: Path) -> None:
    lines = [f'"text {i},{"positive" if i % 2 else "negative"}' for i in range(60)]
    with pytest.raises(DataError, match=r"line 2: a quote swallows .* up to line 3"):
        read_file(write(tmp_path / "a.csv", lines))


def test_swallowed_scores_are_refused(tmp_path: Path) -> None:
    lines = [f"film {i},0.{i:03}" for i in range(60)]
    lines[3], lines[30] = '"' + lines[3], lines[30].replace(",", '",')
    with pytest.raises(DataError, match="line 5: a quote swallows"):
        read_file(write(tmp_path / "a.csv", lines, "text,score"))


@pytest.mark.parametrize(
    "cell",
    [
        '"Dear John,\nthanks for all"',
        '"roses are red, my love\nviolets are blue, my dear\nsugar is sweet, I hear\nso am I"',
        '"first\n\nsecond, third"',
        '"she said ""no"", twice\nand left"',
        '"a,b,c\n' + "1,2,3\n" * 40 + '"',
        '"one line\r\nanother"',
    ],
)
def test_cells_of_several_lines_stay(tmp_path: Path, cell: str) -> None:
    lines = rows(30)
    lines[7] = f"{cell},better"
    table = read_file(write(tmp_path / "a.csv", lines))
    assert len(table) == 30
    assert table.columns["text"][7] == cell[1:-1].replace('""', '"')


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(['"', '""', "a", " ", "b c"]), min_size=60, max_size=60))
def test_unquoted_texts_with_quotes_keep_their_rows_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, starts: list[str]
) -> None:
    lines = [f"{start}{line}" for start, line in zip(starts, rows(60), strict=True)]
    path = write(tmp_path_factory.mktemp("quotes") / "a.csv", lines)
    try:
        table = read_file(path)
    except DataError:
        return
    assert len(table) == 60
