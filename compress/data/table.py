"""One split as it was read: named columns, before anyone decides what they mean."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.errors import DataError

__all__ = ["Table", "is_missing", "listed", "require_present"]


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


def listed(names: Sequence[str], limit: int = 20) -> str:
    """`a, b, c and 4 more`: long lists stay readable in an error."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
