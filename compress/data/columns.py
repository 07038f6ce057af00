"""Which column is the text, which its pair, which the label: by convention, or as named."""

import difflib
from dataclasses import dataclass
from typing import Any

from compress.data.table import Table, listed
from compress.errors import DataError

__all__ = ["Columns", "NamedColumns", "cells", "choose_columns", "column_in", "first_column"]

# Names that data sets of the field use, the most specific first.
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "context"),
    ("query", "passage"),
    ("query", "document"),
    ("claim", "evidence"),
    ("text", "text_pair"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("sentence", "sentence_pair"),
)
TEXTS = (
    "text",
    "sentence",
    "utterance",
    "content",
    "review",
    "review_body",
    "query",
    "question",
    "comment",
    "message",
    "tweet",
    "document",
    "body",
    "input",
    "title",
)
LABELS = ("label", "labels", "intent", "class", "target", "category", "sentiment", "topic", "score")


@dataclass(frozen=True)
class Columns:
    """The columns that hold the first text, the second (None: single sentences), the label."""

    text: str
    pair: str | None
    label: str


@dataclass(frozen=True)
class NamedColumns:
    """The columns that the person named; None where convention is to find one."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None


def choose_columns(
    table: Table,
    *,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
) -> Columns:
    """Finds the columns of `table`; a name that is given is taken, the others follow convention.

    Where a text column is named and a pair column is not, the task is single-sentence.

    Raises:
        DataError: A column is missing or cannot be told; lists the columns there are.
    """
    if pair is not None:
        column_in(table, pair, "--pair-column")
    if label is not None:
        label = column_in(table, label, "--label-column")
    else:
        label = first_column(table, LABELS)
        if label is None:
            raise _missing(table, "label", LABELS, "--label-column")
    if text is not None:
        text = column_in(table, text, "--text-column")
    elif pair is None:
        for first, second in PAIRS:
            found = first_column(table, (first,)), first_column(table, (second,))
            if found[0] is not None and found[1] is not None and label not in found:
                return Columns(found[0], found[1], label)
    if text is None:
        taken = {label, pair}
        firsts = TEXTS + tuple(first for first, _ in PAIRS)
        text = first_column(table, tuple(name for name in firsts), taken)
        others = [name for name in table.columns if name not in taken]
        if text is None and len(others) == 1:
            text = others[0]  # two columns, one is the label
    if text is None:
        raise _missing(table, "text", TEXTS, "--text-column")
    return Columns(text, None if pair is None else column_in(table, pair, "--pair-column"), label)


def column_in(table: Table, name: str, option: str) -> str:
    """`name` as `table` spells it (letter case aside).

    Raises:
        DataError: There is no such column.
    """
    found = first_column(table, (name,))
    if found is None:
        there = list(table.columns)
        near = difflib.get_close_matches(name, there, n=1)
        raise DataError(
            f"{table.where}: there is no column '{name}'. Its columns: {listed(there)}.",
            hint=f"Did you mean {option} {near[0]}?" if near else f"Name one with {option}.",
        )
    return found


def first_column(
    table: Table, names: tuple[str, ...], taken: set[str | None] | None = None
) -> str | None:
    """The first of `names` that the table has, letter case aside; None if it has none."""
    if len(names) == 1 and names[0] in table.columns:
        return names[0]
    spelled = {name.strip().lower(): name for name in table.columns if name not in (taken or ())}
    return next((spelled[name.lower()] for name in names if name.lower() in spelled), None)


def cells(table: Table, wanted: str | None, names: tuple[str, ...], option: str) -> list[Any]:
    """The cells of the column that was asked for, or of the first of `names` that there is.

    Raises:
        DataError: There is no such column.
    """
    found = column_in(table, wanted, option) if wanted else first_column(table, names)
    if found is None:
        raise DataError(
            f"{table.where}: there is no column {' or '.join(names)}. "
            f"Its columns: {listed(list(table.columns))}.",
            hint=f"Name it with {option} COLUMN.",
        )
    return list(table.columns[found])


def _missing(table: Table, what: str, names: tuple[str, ...], option: str) -> DataError:
    return DataError(
        f"{table.where}: no {what} column found (looked for {listed(list(names))}). "
        f"Its columns: {listed(list(table.columns))}.",
        hint=f"Name it with {option} COLUMN; a CSV file needs a header line.",
    )
