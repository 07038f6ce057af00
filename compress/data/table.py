"""One split as it was read: named columns, before anyone decides what they mean."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.errors import DataError

__all__ = [
    "Table",
    "is_missing",
    "listed",
    "no_rows",
    "require_present",
    "require_whole_characters",
    "table_of_records",
    "unique_names",
]


@dataclass(frozen=True)
class Table:
    """N rows of one split.

    Attributes:
        where: What an error calls it: a file name, or "dataset id (split)".
        columns: Column name -> N values, in file order.
        class_names: Column name -> the class names of an integer column that declares them.
        length: N.
    """

    where: str
    columns: Mapping[str, Sequence[Any]]
    length: int
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.length


def table_of_records(records: Sequence[Any], where: str) -> Table:
    """Return a table of dicts, a row each; a cell that a dict lacks is None.

    Raises:
        DataError: A record is no dict; names it by its number.
    """
    for number, record in enumerate(records, start=1):
        if not isinstance(record, Mapping):
            raise DataError(
                f"{where}: record {number} is not an object but "
                f"{json.dumps(record, default=repr)[:60]}.",
                hint='Each record should look like {"text": "...", "label": "..."}.',
            )
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {name: [record.get(name) for record in records] for name in names}
    return Table(where=where, columns=columns, length=len(records))


def unique_names(header: Sequence[str]) -> tuple[str, ...]:
    """Return column names that differ; a nameless column is called "column N"."""
    names: list[str] = []
    for position, cell in enumerate(header, start=1):
        name = cell.strip() or f"column {position}"
        while name in names:
            name = f"{name} ({position})"
        names.append(name)
    return tuple(names)


def no_rows(where: object) -> DataError:
    """Return the error for columns without a row."""
    return DataError(
        f"{where}: there are no data rows in it.",
        hint="A header alone is not enough; check how the data was written.",
    )


def is_missing(value: object) -> bool:
    """None, NaN, or text with nothing in it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def require_present(table: Table, column: str) -> None:
    """Raises DataError, naming the rows, where `column` of `table` has empty cells."""
    rows = [i for i, value in enumerate(table.columns[column], start=1) if is_missing(value)]
    if rows:
        raise DataError(
            f"{table.where}: column '{column}' is empty in {len(rows)} of {len(table)} rows: "
            f"data row {listed([str(row) for row in rows], limit=8)}.",
            hint="Fill in or remove these rows (data rows are counted from 1, after any header).",
        )


def require_whole_characters(table: Table) -> None:
    """Raises DataError, naming the rows, where text holds half of a character.

    JSON's "\\ud83d" is the first half of an emoji, and no file takes it. Predictors answer such
    text (as U+FFFD); here it would be trained on, and reported about, though nobody wrote it.
    """
    for column, cells in table.columns.items():
        rows = [row for row, cell in enumerate((column, *cells)) if not _is_whole(cell)]
        if rows:
            place = "its name" if rows[0] == 0 else f"data row {listed(list(map(str, rows)), 8)}"
            raise DataError(
                f"{table.where}: column {column!a}: {place}: text holds half of a character "
                "(a lone surrogate).",
                hint="Write such text anew, in Python: "
                "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')",
            )


def _is_whole(value: object) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    elif isinstance(value, Mapping):
        return all(map(_is_whole, value.values()))
    elif isinstance(value, list | tuple):
        return all(map(_is_whole, value))
    return True


def listed(names: Sequence[str], limit: int = 20) -> str:
    """`a, b, c and 4 more`: long lists stay readable in an error."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
