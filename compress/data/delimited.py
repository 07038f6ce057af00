"""CSV and TSV: the header, the separator, whether quotes are literal, and which line is wrong."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.data.table import listed, no_rows, unique_names
from compress.errors import DataError

__all__ = ["Layout", "explain_delimited", "sniff"]

# A cell that starts with a quote and is a well-formed quoted cell.
QUOTED = re.compile(r'^"(?:[^"]|"")*"$')


@dataclass(frozen=True)
class Layout:
    """How a delimited file is written.

    Attributes:
        columns: Names from the header, made unique; a nameless column is called "column N".
        separator: One character.
        quoting: `csv.QUOTE_MINIMAL`, or `csv.QUOTE_NONE` where quotes are part of the text.
    """

    columns: tuple[str, ...]
    separator: str
    quoting: Literal[0, 3]


def sniff(path: Path, text: str) -> Layout:
    """Reads the header and looks at how the rows are written.

    Raises:
        DataError: There are no rows, or the first has more cells than the header, so that no
            column can be trusted.
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    header_line = text.lstrip("\n\r").split("\n", 1)[0]
    if separator not in header_line:
        # Spreadsheets write ";" or a tab under .csv where the comma is the decimal sign.
        separator = next((other for other in (";", "\t") if other in header_line), separator)
    literal = separator == "\t" and _quotes_are_literal(text)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if literal else csv.QUOTE_MINIMAL
    rows = _rows(text, separator, quoting)
    _, header = next(rows)
    layout = Layout(unique_names(header), separator, quoting)
    line, row = next(rows, (0, []))
    if not row:
        raise no_rows(path)
    if len(row) > len(header):
        raise _ragged(path, line, len(row), layout)
    return layout


def explain_delimited(path: Path, text: str, layout: Layout, cause: BaseException) -> DataError:
    """The error for a file that could not be parsed: the first line that does not fit."""
    for line, row in _rows(text, layout.separator, layout.quoting):
        if len(row) > len(layout.columns):
            return _ragged(path, line, len(row), layout)
    if "EOF inside string" in str(cause):
        return DataError(
            f"{path}: a quoted cell is never closed ({cause}).",
            hint='Double the quotes inside a cell: "she said ""no""".',
        )
    return DataError(f"{path}: cannot be parsed ({cause}).", hint="Check that line of the file.")


def _rows(text: str, separator: str, quoting: Literal[0, 3]) -> Iterator[tuple[int, list[str]]]:
    """(line the row ends on, cells) of every row that is not blank."""
    csv.field_size_limit(2**31 - 1)  # documents are longer than csv's 128 kB
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=False
    )
    for row in reader:
        if row:
            yield reader.line_num, row


def _quotes_are_literal(text: str) -> bool:
    """GLUE's TSV files quote nothing, so that a lone quote would swallow the lines after it.

    True where every line has the header's number of tabs and some cell starts with a quote that
    does not close at the cell's end.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    tabs = lines[0].count("\t")
    if any(line.count("\t") != tabs for line in lines):
        return False
    cells = (cell for line in lines if '"' in line for cell in line.split("\t"))
    return any(cell.startswith('"') and not QUOTED.match(cell) for cell in cells)


def _ragged(path: Path, line: int, cells: int, layout: Layout) -> DataError:
    return DataError(
        f"{path}: line {line} has {cells} cells, but the header names {len(layout.columns)} "
        f"columns: {listed(layout.columns)}.",
        hint=f"Put quotes around cells that contain {layout.separator!r}.",
    )
