"""Texts, or pairs of texts, with a label each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, Labels, LabelSets, Scores
from compress.data.columns import (
    LABELS,
    TEXTS,
    NamedColumns,
    all_columns,
    choose_columns,
    choose_texts,
    column_in,
    pair_of,
)
from compress.data.labels import (
    match_label_sets,
    match_labels,
    problem_type_of,
    read_scores,
    without_hidden,
)
from compress.data.lists import with_lists
from compress.data.missing import Missing, whole_rows, without_missing
from compress.data.table import Table, require_present
from compress.errors import DataError

__all__ = ["ROW", "read", "recognized", "unlabelled"]

ROW = '{"text": "so good", "label": "positive"}'


def recognized(table: Table) -> tuple[str, ...]:
    """See `compress.data.tasks`."""
    names = all_columns(table, TEXTS, LABELS)
    plain = all(isinstance(table.columns[name][0], str | int) for name in names)
    return names if plain else ()


def read(
    tables: Mapping[str, Table],
    named: NamedColumns,
    label_names: Sequence[str] | None,
    problem_type: str | None = None,
    missing: Missing = "refuse",
) -> tuple[dict[str, Examples], list[str]]:
    """See `compress.data.tasks`."""
    reference = next(iter(tables.values()))
    text, pair, label = choose_columns(reference, named)
    second = "" if pair is None else f" and '{pair}'"
    notes = [f"Text from column '{text}'{second}, labels from '{label}'."]
    tables = {name: _spelled_like((text, pair, label), table) for name, table in tables.items()}
    if problem_type != "regression":
        tables = with_lists(tables, label, label_names or ())
    cells = [text] if pair is None else [text, pair]
    tables, hidden = without_hidden(tables, label, cells)
    notes += hidden
    tables, gaps = without_missing(tables, cells, label, missing)
    notes += gaps

    texts = {name: _texts(table, text, "--text-column") for name, table in tables.items()}
    pairs = {
        name: None if pair is None else _texts(table, pair, "--pair-column")
        for name, table in tables.items()
    }
    labelled = list(tables.values())
    problem = problem_type or problem_type_of(labelled, label)
    labels: Sequence[NDArray[Any]]
    label_notes: list[str]
    kind: type[Labels]
    if problem == "regression":
        labels, label_notes, kind = read_scores(labelled, label), [], Scores
        names = tuple(label_names or ("score",))
    else:
        several = problem == "multi_label_classification"
        match, kind = (match_label_sets, LabelSets) if several else (match_labels, ClassLabels)
        labels, names, label_notes = match(labelled, label, label_names)
    examples = {
        name: Examples(texts[name], kind(array), names, pairs[name])
        for name, array in zip(tables, labels, strict=True)
    }
    return examples, notes + label_notes


def unlabelled(
    table: Table,
    named: NamedColumns,
    label_names: Sequence[str] | None,
    problem_type: str | None = None,
) -> Examples:
    """See `compress.data.tasks`."""
    pairs = named.pair is not None or (named.text is None and pair_of(table) is not None)
    columns = choose_texts(table, named, pairs=pairs)
    table, names = whole_rows(table, columns), tuple(label_names or ("score",))
    count, targets = len(table), Labels(np.zeros(0))
    if problem_type == "regression":
        targets = Scores(np.zeros(count))
    elif problem_type == "multi_label_classification":
        targets = LabelSets(np.zeros((count, len(names)), dtype=np.int64))
    else:
        targets = ClassLabels(np.zeros(count, dtype=np.int64))
    options = ("--text-column", "--pair-column")
    texts, *second = (_texts(table, *each) for each in zip(columns, options, strict=False))
    return Examples(texts, targets, names, second[0] if second else None)


def _texts(table: Table, column: str, option: str) -> tuple[str, ...]:
    name = column_in(table, column, option)
    require_present(table, name)
    values = table.columns[name]
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str | int | float):
            raise DataError(
                f"{table.where}: data row {row}, column '{name}': expected text, found "
                f"{type(value).__name__}.",
                hint=f"Name another column with {option}.",
            )
    return tuple(str(value) for value in values)


def _spelled_like(names: Sequence[str | None], table: Table) -> Table:
    """Return `table` with the chosen columns under their chosen names.

    The files of one folder may differ in letter case. A column that is absent is reported where
    it is used: a split without labels may still be left out.
    """
    chosen = {name.lower(): name for name in names if name and name not in table.columns}
    return replace(
        table,
        columns={chosen.get(name.lower(), name): v for name, v in table.columns.items()},
        class_names={chosen.get(name.lower(), name): v for name, v in table.class_names.items()},
    )
