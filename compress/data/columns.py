"""Find the columns of the text, its pair and the label: by convention, or as named."""

from dataclasses import dataclass
from typing import Any

from compress.data.table import Table, listed
from compress.errors import DataError, NoLabelsError
from runtimes.errors import nearest

__all__ = [
    "LISTS_OF_WORDS",
    "NamedColumns",
    "all_columns",
    "cells",
    "choose_columns",
    "choose_texts",
    "column_in",
    "first_column",
    "pair_of",
]

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
LISTS_OF_WORDS = ("tokens", "words")
LABELS = ("label", "labels", "intent", "class", "target", "category", "sentiment", "topic", "score")


@dataclass(frozen=True)
class NamedColumns:
    """Columns that the person named; None where convention is to find one.

    Attributes:
        text: The first text.
        pair: The second text.
        label: The label.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None


def choose_columns(table: Table, named: NamedColumns) -> tuple[str, str | None, str]:
    """Choose the columns of `table`: those that are named, the others by convention.

    A named text column without a named pair column makes the task single-sentence.

    Returns:
        The columns of the first text, of the second (None: single sentences), and of the label.

    Raises:
        NoLabelsError: There is no column of labels.
        DataError: A column is missing or cannot be told; lists the columns there are.
    """
    pair = None if named.pair is None else column_in(table, named.pair, "--pair-column")
    if named.label is not None:
        label = column_in(table, named.label, "--label-column")
    elif (found := first_column(table, LABELS)) is not None:
        label = found
    else:
        raise _missing(table, "label", LABELS, "--label-column", kind=NoLabelsError)
    if named.text is not None:
        return column_in(table, named.text, "--text-column"), pair, label
    if pair is None and (both := pair_of(table, label)) is not None:
        return *both, label
    taken = {label, pair}
    text = first_column(table, TEXTS + tuple(first for first, _ in PAIRS), taken)
    others = [name for name in table.columns if name not in taken]
    if text is None and len(others) == 1:
        text = others[0]  # two columns, one is the label
    if text is None:
        raise _missing(table, "text", TEXTS, "--text-column")
    return text, pair, label


def choose_texts(table: Table, named: NamedColumns, *, pairs: bool) -> tuple[str, ...]:
    """Choose the columns of texts, or of pairs, in a table that need have no labels.

    Raises:
        DataError: As for `choose_columns`.
    """
    first, second = (
        None if name is None else column_in(table, name, option)
        for name, option in ((named.text, "--text-column"), (named.pair, "--pair-column"))
    )
    if not pairs:
        found = first or first_column(table, (*TEXTS, *LISTS_OF_WORDS))
        if found is None and len(table.columns) == 1:
            found = next(iter(table.columns))
        if found is None:
            raise _missing(table, "text", TEXTS, "--text-column")
        return (found,)
    if first is None and second is None:
        first, second = pair_of(table) or (None, None)
    for given, what, option in (
        (first, "first text", "--text-column"),
        (second, "second text", "--pair-column"),
    ):
        if given is None:
            looked_for = tuple(" and ".join(names) for names in PAIRS)
            raise _missing(table, what, looked_for, option)
    return str(first), str(second)


def pair_of(table: Table, label: str | None = None) -> tuple[str, str] | None:
    """Return the columns of a pair that go by names of the field."""
    for names in PAIRS:
        first, second = (first_column(table, (name,)) for name in names)
        if first is not None and second is not None and label not in (first, second):
            return first, second
    return None


def column_in(table: Table, name: str, option: str) -> str:
    """Return `name` as `table` spells it, letter case aside.

    Raises:
        DataError: There is no such column.
    """
    found = first_column(table, (name,))
    if found is None:
        there = list(table.columns)
        near = nearest(name, there)
        raise DataError(
            f"{table.where}: there is no column '{name}'. Its columns: {listed(there)}.",
            hint=f"Did you mean {option} {near}?" if near else f"Name one with {option}.",
        )
    return found


def all_columns(table: Table, *names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first of each of `names` that the table has; () where it lacks one of them."""
    found = [first_column(table, each) for each in names]
    return () if None in found else tuple(name for name in found if name is not None)


def first_column(
    table: Table, names: tuple[str, ...], taken: set[str | None] | None = None
) -> str | None:
    """Return the first of `names` that the table has, letter case aside; None if it has none."""
    if len(names) == 1 and names[0] in table.columns:
        return names[0]
    spelled = {name.strip().lower(): name for name in table.columns if name not in (taken or ())}
    return next((spelled[name.lower()] for name in names if name.lower() in spelled), None)


def cells(
    table: Table,
    wanted: str | None,
    names: tuple[str, ...],
    option: str,
    *,
    kind: type[DataError] = DataError,
) -> list[Any]:
    """Return the cells of the column that was asked for, or of the first of `names` there is.

    Raises:
        DataError: There is no such column; of this kind where none was asked for.
    """
    found = column_in(table, wanted, option) if wanted else first_column(table, names)
    if found is None:
        raise kind(
            f"{table.where}: there is no column {' or '.join(names)}. "
            f"Its columns: {listed(list(table.columns))}.",
            hint=f"Name it with {option} COLUMN.",
        )
    return list(table.columns[found])


def _missing(
    table: Table,
    what: str,
    names: tuple[str, ...],
    option: str,
    *,
    kind: type[DataError] = DataError,
) -> DataError:
    return kind(
        f"{table.where}: no {what} column found (looked for {listed(list(names))}). "
        f"Its columns: {listed(list(table.columns))}.",
        hint=f"Name it with {option} COLUMN; a CSV file needs a header line.",
    )
