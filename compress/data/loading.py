"""From a `--data` argument to the three splits of a run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.examples import Examples
from compress.data.columns import Columns, choose_columns, column_in
from compress.data.labels import is_unlabelled, match_labels
from compress.data.reading import read_tables
from compress.data.sources import locate
from compress.data.splitting import Splits, carve, fingerprint, without_leaks
from compress.data.table import Table, require_present
from compress.errors import DataError

__all__ = ["load_splits"]

# Below this the report's interval is so wide that the person should know before, not after.
SMALL_REPORT = 200


def load_splits(
    source: str,
    *,
    label_names: Sequence[str] | None,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    seed: int = 0,
) -> Splits:
    """Reads labelled text and decides what is trained on, selected with and reported on.

    Args:
        source: A .csv, .tsv, .json, .jsonl or .parquet file; a folder with train, validation
            (dev, val) and test files, or written by `save_to_disk`; or a hub dataset id, with
            ":config" where it has several.
        label_names: The model's class names in the order of its outputs (`id2label`); None takes
            them from the data.
        text_column: Column of the text; None finds it by convention.
        pair_column: Column of the second sentence; None finds it by convention, unless
            `text_column` is given.
        label_column: Column of the label; None finds it by convention.
        seed: Seed of every cut; the same data and seed give the same splits.

    Returns:
        Splits without common texts, with notes on everything that was carved or dropped.

    Raises:
        DataError: The data cannot be read, a column is missing, cells are empty, labels do not
            match, or there is too little of it. The message names the file, row or column.
    """
    tables = read_tables(locate(source))
    reference = next(iter(tables.values()))
    columns = choose_columns(reference, text=text_column, pair=pair_column, label=label_column)
    notes = [_column_note(columns)]
    tables = {name: _spelled_like(columns, table) for name, table in tables.items()}
    for name in [name for name in tables if len(tables) > 1 and name != "train"]:
        if is_unlabelled(tables[name], columns.label):
            notes.append(f"The {name} split ({len(tables[name])}) has no labels: left out.")
            del tables[name]

    texts = {name: _texts(table, columns.text, "--text-column") for name, table in tables.items()}
    pairs = {
        name: None if columns.pair is None else _texts(table, columns.pair, "--pair-column")
        for name, table in tables.items()
    }
    labels, names, label_notes = match_labels(list(tables.values()), columns.label, label_names)
    notes += label_notes
    given = {
        name: Examples(texts[name], array, names, pairs[name])
        for name, array in zip(tables, labels, strict=True)
    }
    train, selection, report, carved = carve(given, seed, source)
    train, selection, leaks = without_leaks(train, selection, report, source)
    if len(np.unique(train.labels)) < 2:
        raise DataError(
            f"{source}: the train split has fewer than two classes.",
            hint="Shuffle the data before splitting it, or pass one file to have it split.",
        )
    notes += carved + leaks
    if len(report) < SMALL_REPORT:
        notes.append(
            f"The report split has {len(report)} examples: one of them is "
            f"{100 / len(report):.1f} points, so small drops cannot be told from chance."
        )
    return Splits(train, selection, report, tuple(notes), fingerprint((train, selection, report)))


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


def _spelled_like(columns: Columns, table: Table) -> Table:
    """`table` with the chosen columns under their chosen names.

    The files of one folder may differ in letter case. A column that is absent is reported where
    it is used: a split without labels may still be left out.
    """
    names = (columns.text, columns.pair, columns.label)
    chosen = {name.lower(): name for name in names if name and name not in table.columns}
    return replace(
        table,
        columns={chosen.get(name.lower(), name): v for name, v in table.columns.items()},
        class_names={chosen.get(name.lower(), name): v for name, v in table.class_names.items()},
    )


def _column_note(columns: Columns) -> str:
    second = "" if columns.pair is None else f" and '{columns.pair}'"
    return f"Text from column '{columns.text}'{second}, labels from '{columns.label}'."
