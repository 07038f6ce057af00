"""Lists that a CSV file holds as text, as JSON and pandas write them."""

import ast
import json
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from compress.data.columns import first_column
from compress.data.table import Table, is_missing
from compress.errors import DataError

__all__ = ["with_lists"]

# One string of Python. Python joins two in a row, which is how numpy writes two items.
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def with_lists(
    tables: Mapping[str, Table], column: str, names: Collection[str] = ()
) -> dict[str, Table]:
    """Return the tables, with a list for each cell of `column` such as "['a', 'b']" or '["a"]'.

    Either all cells are lists or none is. Cells that begin with a bracket stay text if no cell
    reads as a list and others do not begin with one, as in "[ Reuters ] Rome".

    Args:
        tables: By split.
        column: Those without it stay as they are.
        names: Text that is no list, whatever it looks like.

    Raises:
        DataError: A cell does not read as a list, and others do or all begin with a bracket; names
            the row.
    """
    spelled = {name: first_column(table, (column,)) for name, table in tables.items()}
    texts = [
        (f"{tables[name].where}: data row {row}, column '{own}'", cell)
        for name, own in spelled.items()
        if own is not None
        for row, cell in enumerate(tables[name].columns[own], start=1)
        if isinstance(cell, str) and not is_missing(cell)
    ]
    bracketed = [text for _, text in texts if text.lstrip().startswith("[") and text not in names]
    read = {text: _list_of(text) for text in bracketed}
    if not read or (len(bracketed) < len(texts) and not any(map(_is_list, read.values()))):
        return dict(tables)
    for place, text in texts:
        if not _is_list(read.get(text)):
            raise DataError(
                f"{place}: {text!r:.60} is no list, and the column looks like one of lists.",
                hint="""Write every list as JSON, ["film", "praise"], or as Python does, """
                """['film', 'praise']; or the data as JSON lines (.jsonl).""",
            )
    return {
        name: table if own is None else _with_column(table, own, read)
        for (name, table), own in zip(tables.items(), spelled.values(), strict=True)
    }


def _with_column(table: Table, column: str, read: Mapping[str, Any]) -> Table:
    cells = table.columns[column]
    lists = [read.get(cell, cell) if isinstance(cell, str) else cell for cell in cells]
    return replace(table, columns={**table.columns, column: lists})


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _list_of(text: str) -> list[Any] | None:
    """Return the list of text and numbers that `text` is, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _literal(text)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return value
    return None


def _literal(text: str) -> Any:
    """Return the list that `text` is in Python, or None."""
    text = text.strip().replace("\n", " ")
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
            tree = ast.parse(text, mode="eval").body
        value = ast.literal_eval(tree)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.List):
        return None
    raw = text.encode()  # Python counts columns in bytes
    strings = [
        raw[item.col_offset : item.end_col_offset].decode()
        for item in tree.elts
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]
    return value if all(map(_STRING.fullmatch, strings)) else None
