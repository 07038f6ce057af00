"""CSV and TSV: the header, the separator, whether quotes are literal, and which line is wrong."""

import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from compress.data.table import Table, listed, no_rows, unique_names
from compress.errors import DataError

__all__ = ["read_delimited"]

# A cell that starts with a quote and is a well-formed quoted cell.
_QUOTED = re.compile(r'^"(?:[^"]|"")*"$')

_END = "\0"  # a last line of our own: one that an open quote swallows does not come back


def read_delimited(path: Path, text: str) -> Table:
    """Read a table from the text of a CSV or TSV file.

    Cells are text: "007" stays "007", and the words "null" and "NA" stay words. An empty cell, or
    one that a short row lacks, is None.

    Args:
        path: Says by its extension what separates cells, and names the file in errors.
        text: At least a header.

    Raises:
        DataError: There are no rows, a row has more cells than the header, or a quoted cell is
            never closed.
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    header_line = text.lstrip("\n\r").split("\n", 1)[0]
    if separator not in header_line:
        # Spreadsheets write ";" or a tab under .csv where the comma is the decimal sign.
        separator = next((other for other in (";", "\t") if other in header_line), separator)
    rows = _rows(text, separator, literal=separator == "\t" and _quotes_are_literal(text))
    _, header = next(rows)
    names = unique_names(header)
    found, start = list[list[str]](), 0
    for start, row in rows:
        if len(row) > len(names):
            raise DataError(
                f"{path}: line {start} has {len(row)} cells, but the header names {len(names)} "
                f"columns: {listed(names)}.",
                hint=f"Put quotes around cells that contain {separator!r}.",
            )
        found.append(row)
    if found.pop() != [_END]:
        raise DataError(
            f"{path}: a quoted cell is never closed; its row starts on line {start}.",
            hint='Double the quotes inside a cell: "she said ""no""".',
        )
    if not found:
        raise no_rows(path)
    columns = {
        name: [row[place] or None if place < len(row) else None for row in found]
        for place, name in enumerate(names)
    }
    return Table(where=str(path), columns=columns, length=len(found))


def _rows(text: str, separator: str, *, literal: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield (line it starts on, cells) of every row that is not blank, and of `_END`."""
    lines = itertools.chain(io.StringIO(text, newline=""), [_END])
    before = csv.field_size_limit(2**31 - 1)  # documents are longer than csv's 128 kB
    try:
        reader = csv.reader(
            lines,
            delimiter=separator,
            quoting=csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL,
        )
        start = 1
        for row in reader:
            if row and not (row[0].isspace() and len(row) == 1 and not row[0].strip(" \t")):
                yield start, row
            start = reader.line_num + 1
    finally:
        csv.field_size_limit(before)


def _quotes_are_literal(text: str) -> bool:
    """Return whether quotes are part of the text, as in GLUE's TSV files, which quote nothing.

    A lone quote would swallow the lines after it. True where every line has the header's number of
    tabs and some cell starts with a quote that does not close at the cell's end.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    tabs = lines[0].count("\t")
    if any(line.count("\t") != tabs for line in lines):
        return False
    cells = (cell for line in lines if '"' in line for cell in line.split("\t"))
    return any(cell.startswith('"') and not _QUOTED.match(cell) for cell in cells)
