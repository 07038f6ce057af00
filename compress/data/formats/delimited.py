"""CSV and TSV: the header, the separator, what quotes mean, and which line is wrong."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.data.table import Table, listed, no_rows, unique_names
from compress.errors import DataError

__all__ = ["read_delimited"]

# A cell that starts with a quote and is a well-formed quoted cell.
_QUOTED = re.compile(r'^"(?:[^"]|"")*"$')

_END = "\0"  # a last line of our own: one that an open quote swallows does not come back

_STATED = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)  # a first line for Excel

_MANY_LINES = 10  # so many lines of one cell do not have the header's separators by chance


@dataclass(frozen=True)
class _Row:
    """One row, and the lines that it stands on, counted from 1."""

    first: int
    last: int
    cells: list[str]


def read_delimited(path: Path, text: str) -> Table:
    """Read a table from the text of a CSV or TSV file.

    Cells are text: "007" stays "007", and the words "null" and "NA" stay words. An empty cell, or
    one that a short row lacks, is None.

    A quote that is part of a text and not doubled swallows the lines up to the next quote. A row of
    several lines is refused as such where its quotes are malformed (text follows the closing one),
    or where nine in ten of its lines have the header's number of separators and there are ten of
    them, or what they would hold in one column all occurs there in other rows, as labels do.

    Args:
        path: Says by its extension what separates cells, and names the file in errors.
        text: At least a header.

    Raises:
        DataError: There are no rows, a row has more cells than the header, or a quoted cell is
            never closed or swallows rows.
    """
    lines = list(io.StringIO(text, newline=""))  # ends: \n, \r and \r\n, as for csv
    separator = _separator(path, lines)
    rows = _rows(lines, separator, literal=separator == "\t" and _quotes_are_literal(lines))
    names = unique_names(next(rows).cells)
    found, long = list[_Row](), list[_Row]()
    for row in rows:
        if row.first < row.last <= len(lines):
            if _is_malformed(lines[row.first - 1 : row.last], separator):
                raise _swallowed(path, row)
            long.append(row)
        if len(row.cells) > len(names):
            raise DataError(
                f"{path}: line {row.first} has {len(row.cells)} cells, but the header names "
                f"{len(names)} columns: {listed(names)}.",
                hint=f"Put quotes around cells that contain {separator!r}.",
            )
        found.append(row)
    if found.pop().cells != [_END]:
        raise DataError(
            f"{path}: a quoted cell is never closed; its row starts on line {row.first}.",
            hint='Double the quotes inside a cell: "she said ""no""".',
        )
    if not found:
        raise no_rows(path)
    columns = {
        name: [row.cells[place] or None if place < len(row.cells) else None for row in found]
        for place, name in enumerate(names)
    }
    if long:
        short = [row.cells for row in found if row.first == row.last]
        known = [
            {cells[place] for cells in short if place < len(cells)} - {""}
            for place in range(len(names))
        ]
        for row in long:
            if _holds_rows(lines[row.first - 1 : row.last], separator, known):
                raise _swallowed(path, row)
    return Table(where=str(path), columns=columns, length=len(found))


def _separator(path: Path, lines: list[str]) -> str:
    """Return what separates cells; blank a first line of `lines` that only says so.

    Raises:
        DataError: There is no header.
    """
    if stated := _STATED.fullmatch(lines[0]):
        lines[0] = "\n"  # no row; the others keep their numbers
    header = next((line for line in lines if line.strip("\r\n")), None)
    if header is None:
        raise no_rows(path)
    if stated:
        return stated[1]
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    # Spreadsheets write ";" or a tab under .csv where the comma is the decimal sign.
    return next((each for each in (usual, ";", "\t") if each in header), usual)


def _rows(lines: Sequence[str], separator: str, *, literal: bool) -> Iterator[_Row]:
    """Yield every row that is not blank, and one of `_END`."""
    before = csv.field_size_limit(2**31 - 1)  # documents are longer than csv's 128 kB
    try:
        reader = csv.reader(
            [*lines, _END],
            delimiter=separator,
            quoting=csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL,
        )
        start = 1
        for cells in reader:
            if cells and not (cells[0].isspace() and len(cells) == 1 and not cells[0].strip(" \t")):
                yield _Row(start, reader.line_num, cells)
            start = reader.line_num + 1
    finally:
        csv.field_size_limit(before)


def _quotes_are_literal(lines: Sequence[str]) -> bool:
    """Return whether quotes are part of the text, as in GLUE's TSV files, which quote nothing.

    A lone quote would swallow the lines after it. True where every line has the header's number of
    tabs and some cell starts with a quote that does not close at the cell's end.
    """
    lines = [line.rstrip("\r\n") for line in lines if line.strip()]
    tabs = lines[0].count("\t")
    if any(line.count("\t") != tabs for line in lines):
        return False
    cells = (cell for line in lines if '"' in line for cell in line.split("\t"))
    return any(cell.startswith('"') and not _QUOTED.match(cell) for cell in cells)


def _is_malformed(lines: Sequence[str], separator: str) -> bool:
    """Return whether text follows a closing quote in the row that `lines` are."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        return True
    finally:
        csv.field_size_limit(before)
    return False


def _holds_rows(lines: Sequence[str], separator: str, known: Sequence[set[str]]) -> bool:
    """Return whether `lines`, which are one row, look like a row each.

    Args:
        lines: At least two.
        separator: What separates cells.
        known: The cells of each column in rows of one line.
    """
    cut = [
        [cell.strip('" ') for cell in line.rstrip("\r\n").split(separator)]
        for line in lines
        if line.strip()
    ]
    whole = [cells for cells in cut if len(cells) == len(known)]
    if len(whole) < 0.9 * len(cut) or len(known) < 2:
        return False
    return len(whole) >= _MANY_LINES or any(
        all(cells[place] in values for cells in whole) for place, values in enumerate(known)
    )


def _swallowed(path: Path, row: _Row) -> DataError:
    return DataError(
        f"{path}: line {row.first}: a quote swallows what looks like rows of their own, up to line "
        f"{row.last}.",
        hint="Put quotes around a cell that begins with one and double those inside, such as "
        '"""Yes"", she said"; or write the data as JSON lines (.jsonl).',
    )
