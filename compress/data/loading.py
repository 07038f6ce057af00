"""Load data, wherever it is, as the three splits of a run."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from compress.data.columns import NamedColumns
from compress.data.coverage import coverage_notes
from compress.data.memory import Data, describe
from compress.data.missing import Missing
from compress.data.reading import read_tables
from compress.data.splitting import Splits, carve, fingerprint, without_leaks
from compress.data.table import Table
from compress.errors import DataError, OtherTaskError
from runtimes.registry import get_task
from runtimes.tasks import DEFAULT_TASK

__all__ = ["load_splits", "reader_of", "small_report_notes"]

# Below this the report's interval is so wide that the person should know before, not after.
SMALL_REPORT = 200


def load_splits(
    data: Data,
    *,
    label_names: Sequence[str] | None,
    task: str = DEFAULT_TASK,
    problem_type: str | None = None,
    columns: NamedColumns | None = None,
    missing: Missing = "refuse",
    seed: int = 0,
    share: bool = False,
) -> Splits:
    """Read labelled text and decide what is trained on, selected with and reported on.

    Args:
        data: A .csv, .tsv, .json, .jsonl or .parquet file; a folder with train, validation
            (dev, val) and test files, or written by `save_to_disk`; or a hub dataset id, with
            ":config" where it has several. Or an object in memory: a `datasets.Dataset` or
            `DatasetDict`, a pandas DataFrame, a dict of lists, a list of dicts, or a dict from
            split names to any of these. The same rows give the same splits, whatever holds them.
        label_names: The model's class names in the order of its outputs (`id2label`); None takes
            them from the data.
        task: What the labels are for, by its name in `runtimes.tasks`.
        problem_type: What kind of labels the model gives, as in Hugging Face configs; None takes
            it from the data.
        columns: Those that convention does not find. Where it names the text alone, there is no
            second sentence.
        missing: What becomes of rows with empty cells: `"refuse"` raises, `"drop"` leaves them out,
            `"fill"` fills those of the training split (`compress.data.missing`).
        seed: Seed of every cut; the same data and seed give the same splits.
        share: Whether the texts that choose and those that are reported on may be the same, where
            no test split is given.

    Returns:
        Splits without common texts, with notes on everything that was carved or dropped.

    Raises:
        DataError: The data cannot be read, a column is missing, cells are empty, labels do not
            match, or there is too little of it. The message names the file, row or column.
        OtherTaskError: The data are of another task.
    """
    tables = read_tables(data)
    source = describe(data)
    named = columns or NamedColumns()
    try:
        given, notes = reader_of(task).read(tables, named, label_names, problem_type, missing)
    except DataError as error:
        if named == NamedColumns() and (other := _other_task(tables, task)) is not None:
            raise _mistaken(source, other, task) from error
        raise
    train, selection, report, carved = carve(given, seed, source, share=share)
    train, selection, leaks = without_leaks(train, selection, report, source)
    if len(np.unique(train.labels)) < 2:
        raise DataError(
            f"{source}: the train split has fewer than two classes.",
            hint="Shuffle the data before splitting it, or pass one file to have it split.",
        )
    notes += carved + leaks
    if not get_task(task).SPEC.of_vocabulary:  # whose classes are tokens
        notes += coverage_notes(train, selection, report)
    notes += small_report_notes(report)
    return Splits(train, selection, report, tuple(notes), fingerprint((train, selection, report)))


def small_report_notes(report: Examples) -> list[str]:
    """Return a note where the reported split tells little."""
    if len(report) >= SMALL_REPORT:
        return []
    return [
        f"The report split has {len(report)} examples: one of them is {100 / len(report):.1f} "
        "points, so small drops cannot be told from chance."
    ]


def reader_of(task: str) -> Any:
    """Return the module that reads a task's data."""
    return import_module(f".tasks.{task.replace('-', '_')}", __package__)


def _other_task(tables: Mapping[str, Table], task: str) -> str | None:
    """Return the task that has most of its columns here, where `task` lacks one; None if none."""
    table = next(iter(tables.values()))
    if not len(table) or reader_of(task).recognized(table):
        return None
    package = import_module(".tasks", __package__)
    names = sorted(module.name.replace("_", "-") for module in iter_modules(package.__path__))
    known = {
        name: len(reader_of(name).recognized(table))
        for name in names
        if not get_task(name).SPEC.of_vocabulary  # plain text may be for anything
    }
    best = max(known, key=lambda name: known[name])
    return best if known[best] else None


def _mistaken(source: str, other: str, task: str) -> OtherTaskError:
    return OtherTaskError(
        f"{source}: this looks like {other} data; the model is {get_task(task).SPEC.model}",
        task=other,
        hint=f"data for it has rows such as {reader_of(task).ROW}",
    )
