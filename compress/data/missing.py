"""Rows with empty cells: refused, left out, or filled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from compress.data.table import Table, is_missing

__all__ = ["FILLER", "Missing", "whole_rows", "without_missing"]

Missing = Literal["refuse", "drop", "fill"]

FILLER = "?"
"""What stands in for a text that is missing."""


def without_missing(
    tables: Mapping[str, Table], texts: Sequence[str], label: str, how: Missing
) -> tuple[dict[str, Table], list[str]]:
    """Tables without empty cells, and a sentence for each table that had some.

    Only the training split is ever filled: what decides and what is reported must be true, so there
    such rows are left out.

    Args:
        tables: By split.
        texts: Columns of text; a missing one becomes `FILLER`.
        label: Column of labels; a missing one becomes the most frequent label, or the mean score.
        how: `"refuse"` changes nothing: the reader will name the rows.
    """
    if how == "refuse":
        return dict(tables), []
    found, notes = {}, []
    for name, table in tables.items():
        columns = [column for column in (*texts, label) if column in table.columns]
        empty = [
            row
            for row in range(len(table))
            if any(is_missing(table.columns[column][row]) for column in columns)
        ]
        if how == "fill" and name in ("train", "all"):
            found[name] = _filled(table, texts, label)
            what = "filled"
        else:
            found[name] = _without(table, set(empty))
            what = "left out"
        if empty:
            notes.append(f"{len(empty)} {name} rows with empty cells were {what}.")
    return found, notes


def whole_rows(table: Table, columns: Sequence[str]) -> Table:
    """Return the rows that have something in each of these columns."""
    cells = zip(*(table.columns[column] for column in columns), strict=True)
    return _without(table, {row for row, own in enumerate(cells) if any(map(is_missing, own))})


def _without(table: Table, rows: set[int]) -> Table:
    kept = [row for row in range(len(table)) if row not in rows]
    columns = {name: [values[row] for row in kept] for name, values in table.columns.items()}
    return replace(table, columns=columns, length=len(kept))


def _filled(table: Table, texts: Sequence[str], label: str) -> Table:
    columns: dict[str, Sequence[Any]] = dict(table.columns)
    for name in texts:
        if name in columns:
            columns[name] = [FILLER if is_missing(value) else value for value in columns[name]]
    known = [value for value in columns.get(label, ()) if not is_missing(value)]
    if known:
        usual = _usual(known)
        columns[label] = [usual if is_missing(value) else value for value in columns[label]]
    return replace(table, columns=columns)


def _usual(values: list[Any]) -> Any:
    """The mean of scores, the most frequent of anything else."""
    if all(isinstance(v, float) for v in values) and any(not v.is_integer() for v in values):
        return sum(values) / len(values)
    return Counter(map(str, values)).most_common(1)[0][0]
