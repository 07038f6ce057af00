"""Labels of any spelling, matched with the names that the model has for its classes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.data.columns import first_column
from compress.data.table import Table, is_missing, listed, require_present
from compress.errors import DataError

__all__ = [
    "match_label_sets",
    "match_labels",
    "problem_type_of",
    "read_scores",
    "without_hidden",
]

DEFAULT_NAME = re.compile(r"LABEL_\d+")
INDICES = ("id", "idx", "index", "guid", "column 1")  # columns that number rows
_WHOLE = re.compile(r"([+-]?\d+)\.0+")  # how pandas writes integers of a column with a gap
_COMMA = re.compile(r"[+-]?\d+,\d+")
INTEGER = re.compile(r"[+-]?\d+")


def without_hidden(
    tables: Mapping[str, Table], column: str, texts: Sequence[str]
) -> tuple[dict[str, Table], list[str]]:
    """Return the tables but for those that hide their labels, as GLUE's test splits, and notes.

    Args:
        tables: By split.
        column: Column of the labels.
        texts: Columns of the texts.

    Raises:
        DataError: A split lacks the label column and is not plainly unlabelled: a text column is
            missing as well, or there is a column that may hold the labels under another name.
    """
    first = next(iter(tables.values()))
    hidden = [
        name
        for name, table in tables.items()
        if len(tables) > 1 and name != "train" and _is_unlabelled(table, column, texts, first)
    ]
    return (
        {name: table for name, table in tables.items() if name not in hidden},
        [f"The {name} split ({len(tables[name])}) has no labels: left out." for name in hidden],
    )


def _is_unlabelled(table: Table, column: str, texts: Sequence[str], first: Table) -> bool:
    """Return whether there is no such column, or nothing in it but -1.

    Raises:
        DataError: As `without_hidden`.
    """
    name = first_column(table, (column,))
    if name is not None:
        return all(
            is_missing(value) or (isinstance(value, str | int | float) and value in (-1, "-1"))
            for value in table.columns[name]
        )
    headless = any(first_column(table, (text,)) is None for text in texts)
    others = [
        other
        for other in table.columns
        if first_column(first, (other,)) is None and other.strip().lower() not in INDICES
    ]
    if not headless and not others:
        return True
    raise DataError(
        f"{table.where}: there is no label column '{column}', which {first.where} has. "
        f"Its columns: {listed(list(table.columns))}.",
        hint=f"Its first line has to be the header: {listed(list(first.columns))}."
        if headless
        else f"If the labels are in '{others[0]}', call it '{column}'. A split without labels is "
        f"left out where it has no column that {first.where} lacks.",
    )


def problem_type_of(tables: Sequence[Table], column: str) -> str:
    """What kind of labels a column holds, as Hugging Face configs call it."""
    values = [value for table in tables for value in table.columns[column]]
    if any(isinstance(value, list | tuple | np.ndarray) for value in values):
        return "multi_label_classification"
    numbers = [_number(value) for value in values if not is_missing(value)]
    known = [number for number in numbers if number is not None]
    if known and len(known) == len(numbers) and any(not number.is_integer() for number in known):
        return "regression"
    return "single_label_classification"


def match_label_sets(
    tables: Sequence[Table], column: str, label_names: Sequence[str] | None
) -> tuple[list[NDArray[np.int64]], tuple[str, ...], list[str]]:
    """Which labels each text has: (N, C) of 0 and 1 a table, the C names, and notes.

    A cell is a list of names or of indices; an empty one is a text without labels.

    Raises:
        DataError: As `match_labels`.
    """
    flat, counts = [], []
    for table in tables:
        cells = [
            cell if isinstance(cell, list | tuple | np.ndarray) else [cell]
            for cell in table.columns[column]
        ]
        members = [value for cell in cells for value in cell]
        counts.append([len(cell) for cell in cells])
        flat.append(replace(table, columns={column: members}, length=len(members)))
    arrays, names, notes = match_labels(flat, column, label_names)
    found = []
    for array, own in zip(arrays, counts, strict=True):
        hot = np.zeros((len(own), len(names)), dtype=np.int64)
        hot[np.repeat(np.arange(len(own)), own), array] = 1
        found.append(hot)
    return found, names, notes


def read_scores(tables: Sequence[Table], column: str) -> list[NDArray[np.float64]]:
    """(N,) scores a table.

    Raises:
        DataError: A cell is empty or no number.
    """
    found = []
    for table in tables:
        require_present(table, column)
        scores = [_number(value) for value in table.columns[column]]
        for row, score in enumerate(scores, start=1):
            if score is None or not math.isfinite(score):
                raise DataError(
                    f"{table.where}: data row {row}, column '{column}': "
                    f"{table.columns[column][row - 1]!r} is no number, and the model gives scores.",
                    hint="Name a column of numbers with --label-column; a decimal sign is a point.",
                )
        found.append(np.array(scores, dtype=np.float64))
    return found


def match_labels(
    tables: Sequence[Table], column: str, label_names: Sequence[str] | None
) -> tuple[list[NDArray[np.int64]], tuple[str, ...], list[str]]:
    """Class indices of every table.

    Text is matched with `label_names`, letter case aside; whole numbers that are no names are
    taken as indices. Without `label_names` the names come from the data: declared class names in
    their order, numbers in theirs, other text alphabetically.

    Returns:
        One (N,) int64 array a table, the C label names, and notes for the person.

    Raises:
        DataError: An empty label, several labels a row, numbers that are no classes, fewer than
            two classes, or labels that the model does not have (both sets are shown).
    """
    values = [_clean(table, column) for table in tables]
    values = _without_points(values, label_names or ())
    present = list(dict.fromkeys(value for part in values for value in part))
    declared = tables[0].class_names.get(column)
    if len(present) < 2:
        raise DataError(
            f"{tables[0].where}: column '{column}' has only one class: {present[0]}.",
            hint="Classification needs two; name another column with --label-column.",
        )
    if label_names is None:
        _refuse_decimal_commas(present, f"{tables[0].where}: column '{column}'")
        names = _names_from_data(present, declared)
        index = {name: i for i, name in enumerate(names)}
        notes = _case_notes(names)
    else:
        names = tuple(label_names)
        index, notes = _index_into(names, present, declared, f"{tables[0].where}, '{column}'")
    absent = sorted(set(range(len(names))) - {index[value] for value in present})
    if absent:
        notes.append(
            f"{len(absent)} of the {len(names)} classes never occur in the data: "
            f"{listed([names[i] for i in absent], limit=8)}."
        )
    arrays = [np.array([index[value] for value in part], dtype=np.int64) for part in values]
    return arrays, names, notes


def _without_points(values: list[list[str]], names: Sequence[str]) -> list[list[str]]:
    """Return "1.0" as "1" where all labels are whole numbers and none is a name as it stands."""
    present = {value for part in values for value in part}
    whole = {value: _WHOLE.sub(r"\1", value) for value in present if _WHOLE.fullmatch(value)}
    if not whole or not whole.keys().isdisjoint(names):
        return values
    if not all(value in whole or INTEGER.fullmatch(value) for value in present):
        return values
    return [[whole.get(value, value) for value in part] for part in values]


def _refuse_decimal_commas(present: Sequence[str], place: str) -> None:
    """Raises DataError where labels are numbers with a comma, each of which would be a class."""
    commas = [value for value in present if _COMMA.fullmatch(value)]
    if commas and all(value in commas or INTEGER.fullmatch(value) for value in present):
        raise DataError(
            f"{place} holds numbers with a decimal comma, such as {commas[0]}.",
            hint=f"Write them with a point ({commas[0].replace(',', '.')}); or, if they are "
            "several classes a row, as a list: [0, 1].",
        )


def _case_notes(names: Sequence[str]) -> list[str]:
    """Return a note on classes whose names differ in letter case alone."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    alike = [f"{' and '.join(own)}" for own in folded.values() if len(own) > 1]
    if not alike:
        return []
    return [
        f"Classes that differ in letter case alone: {listed(alike, limit=8)}. Are they the same?"
    ]


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _clean(table: Table, column: str) -> list[str]:
    """Every label as text, numbers in their shortest form."""
    declared = table.class_names.get(column)
    require_present(table, column)
    return [
        _text_of(value, declared, table.where, column, row)
        for row, value in enumerate(table.columns[column], start=1)
    ]


def _text_of(
    value: Any, declared: tuple[str, ...] | None, where: str, column: str, row: int
) -> str:
    place = f"{where}: data row {row}, column '{column}'"
    if isinstance(value, list | dict):
        raise DataError(
            f"{place}: several labels in one row ({value}), and the model gives one.",
            hint="Give one label a row, name another column with --label-column, or fine-tune the "
            "model for several: edgepress train.",
        )
    if declared is not None and isinstance(value, int):
        if not 0 <= value < len(declared):
            raise DataError(
                f"{place}: class {value} does not exist; there are {len(declared)} classes.",
                hint="Rows without a label (-1) have to be removed.",
            )
        return declared[value]
    if isinstance(value, float):
        if not value.is_integer():
            raise DataError(
                f"{place}: {value} is a score, and the model gives classes.",
                hint="Name a column of classes with --label-column, or fine-tune the model for "
                "scores: edgepress train.",
            )
        return str(int(value))
    return str(value).strip()


def _names_from_data(present: list[str], declared: tuple[str, ...] | None) -> tuple[str, ...]:
    if declared is not None:
        return declared
    if all(INTEGER.fullmatch(value) for value in present):
        return tuple(sorted(present, key=int))
    return tuple(sorted(present))


def _index_into(
    names: tuple[str, ...], present: list[str], declared: tuple[str, ...] | None, where: str
) -> tuple[dict[str, int], list[str]]:
    exact = {name: i for i, name in enumerate(names)}
    folded: dict[str, int] = {}
    for i, name in enumerate(names):
        folded.setdefault(name.strip().casefold(), i)
    matched = {value: exact.get(value, folded.get(value.casefold())) for value in present}
    found = {value: i for value, i in matched.items() if i is not None}
    if len(found) == len(present):
        return found, []
    defaults = all(DEFAULT_NAME.fullmatch(name) for name in names)
    # True/False are the integers 1/0 of a two-class model that has no such names.
    numbers = {v: {"false": "0", "true": "1"}.get(v.lower(), v) for v in present}
    if all(INTEGER.fullmatch(number) for number in numbers.values()):
        indices = {value: int(number) for value, number in numbers.items()}
        if all(0 <= i < len(names) for i in indices.values()):
            meaning = ", ".join(f"{i} = {name}" for i, name in enumerate(names[:8]))
            more = ", ..." if len(names) > 8 else ""
            return indices, [] if defaults else [
                f"Numeric labels are taken as class indices of the model: {meaning}{more}."
            ]
    if defaults and declared is not None and len(declared) == len(names):
        return {name: i for i, name in enumerate(declared)}, [
            f"The model's classes have no names; the data's are taken in their declared order: "
            f"{listed(declared, limit=8)}."
        ]
    raise _mismatch(names, present, set(found), where, defaults)


def _mismatch(
    names: tuple[str, ...], present: list[str], found: set[str], where: str, defaults: bool
) -> DataError:
    unknown = sorted(set(present) - found)
    hint = (
        "The model has no names for its classes: write them to id2label in its config.json."
        if defaults
        else "Rename them in the data or in id2label of the model's config.json, "
        "or name another column with --label-column."
    )
    return DataError(
        f"The labels do not match the model's.\n"
        f"  data ({where}): {listed(sorted(present))}\n"
        f"  model (id2label): {listed(names)}\n"
        f"  not a class of the model: {listed(unknown)}",
        hint=hint,
    )
