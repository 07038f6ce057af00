"""Text without labels: more to learn from, or all that there is.

Where it is all, the original model's answers are the labels of what is chosen by and of what is
reported (docs/adr/0020-agreement-without-labels.md).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.data.columns import NamedColumns, column_in
from compress.data.formats.decoding import read_lines
from compress.data.loading import reader_of, small_report_notes
from compress.data.memory import Data, describe
from compress.data.reading import every_table
from compress.data.splitting import (
    MIN_TO_CARVE,
    Splits,
    count_parts,
    fingerprint,
    keys,
    stratified,
)
from compress.data.table import Table, is_missing
from compress.data.tokenized import TokenizedTexts, kept_length, tokenize
from compress.errors import DataError
from runtimes.base import TextInput
from runtimes.registry import task_of_head

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["load_unlabelled", "split_unlabelled", "tokenize_unlabelled", "without_labels"]

# Texts to choose by, and to report on, at most: they tell an agreement of 99% to 0.4 points, and of
# a million texts a tenth would take hours to answer.
_MOST_HELD_OUT = 2000


def load_unlabelled(data: Data, splits: Splits, *, columns: NamedColumns | None = None) -> Examples:
    """Read more text of the task's kind.

    Texts that are in a labelled split are left out, whatever their case and spacing, those of the
    selection and report splits above all: what decides and what is reported stays unseen. Empty
    ones and repetitions are, too.

    Args:
        data: A .txt file with a text a line, or a list of texts (single-sentence tasks); or a file
            with a table, or an object in memory, as for `load_splits`. All splits of it are read.
        splits: Of the labelled data.
        columns: Those of a table; by default `text`, and of sentence pairs `text_pair`.

    Returns:
        Examples whose labels (all 0) mean nothing.

    Raises:
        DataError: It cannot be read, has no such column, or no text is left.
    """
    columns = columns or NamedColumns()
    wanted = [(columns.text or "text", "--text-column")]
    if splits.train.pairs is not None:
        wanted.append((columns.pair or "text_pair", "--pair-column"))
    rows = _rows(data, wanted)
    texts, *second = zip(*rows, strict=True) if rows else ((),)
    found = Examples(
        texts=tuple(texts),
        targets=ClassLabels(np.zeros(len(rows), dtype=np.int64)),
        label_names=splits.train.label_names,
        pairs=tuple(second[0]) if second else None,
    )
    seen = {
        key
        for part in (splits.train, splits.selection, splits.report)
        for key in keys(
            replace(part, targets=part.targets.of_texts())
        )  # a prompt and a choice are a text
    }
    fresh = []
    for place, key in enumerate(keys(found)):
        if all(key) and key not in seen:
            seen.add(key)
            fresh.append(place)
    if not fresh:
        raise DataError(
            f"{describe(data)}: there is no text in it that the labelled data does not have"
        )
    return found.take(fresh)


def split_unlabelled(
    data: Data,
    *,
    label_names: Sequence[str] | None,
    task: str,
    problem_type: str | None = None,
    columns: NamedColumns | None = None,
    seed: int = 0,
) -> Splits:
    """Read texts that nobody labelled, and decide what is learnt from, chosen by and reported on.

    A tenth each is to choose by and to report on, at most 2,000. Empty texts and repetitions are
    left out.

    Args:
        data: As for `load_unlabelled`. Question answering needs a table with questions and
            contexts, multiple choice one with prompts and choices; of sentence embedding, single
            texts are paired with the next one.
        label_names: As for `load_splits`.
        task: As for `load_splits`.
        problem_type: As for `load_splits`; None is one class a text.
        columns: Those that convention does not find.
        seed: Seed of the cut; the same texts and seed give the same splits.

    Returns:
        Splits whose labels are missing (`Examples.labelled`).

    Raises:
        DataError: It cannot be read, lacks a column, or there are too few texts in it.
    """
    columns = columns or NamedColumns()
    if (lines := _lines(data)) is not None:
        table, columns = Table(describe(data), {"text": lines}, len(lines)), NamedColumns()
    else:
        table = _joined(every_table(data))
    found = reader_of(task).unlabelled(table, columns, label_names, problem_type)
    kept = _once(replace(found, targets=found.targets.unknown(), labelled=False))
    count, before = count_parts(kept), count_parts(found)
    if found.targets.groups is None or found.pairs is not None:  # texts were not paired
        before = max(before, len(table))
    if count < MIN_TO_CARVE:
        raise DataError(
            f"{describe(data)}: {count} different texts are too few: some are to choose by, others "
            f"to report on; at least {MIN_TO_CARVE} are needed.",
            hint="Give more texts of the kind that the model will be asked, some hundred at least.",
        )
    held_out = min(0.1, _MOST_HELD_OUT / count)
    train, selection, report = stratified(kept, (1 - 2 * held_out, held_out, held_out), seed)
    notes = [
        "No text has a label: the original model's answers stand for them. What is measured is "
        "agreement with it, not how often either is right.",
        f"{count:,} different texts: cut at random into train ({len(train):,}), selection "
        f"({len(selection):,}) and report ({len(report):,}). A model is surer of texts that it was "
        "fine-tuned on than of others: if it was on these, agreement on new ones may be lower.",
    ]
    if count < before:
        notes.append(f"{before - count:,} of {before:,} rows are empty or repeat others: left out.")
    notes += small_report_notes(report)
    return Splits(train, selection, report, tuple(notes), fingerprint((train, selection, report)))


def _once(examples: Examples) -> Examples:
    """Return the examples without those that are empty, or are there already."""
    groups = examples.targets.groups
    numbers = np.arange(len(examples)) if groups is None else groups
    first: dict[tuple[str, ...], int] = {}
    kept = [
        place
        for place, (key, number) in enumerate(zip(keys(examples), numbers.tolist(), strict=True))
        if all(key) and first.setdefault(key, number) == number
    ]
    return examples.take(kept)


def _joined(tables: Sequence[Table]) -> Table:
    """Return the rows of all tables, in the columns that all of them have."""
    first = tables[0]
    names = [name for name in first.columns if all(name in table.columns for table in tables)]
    columns = {name: [cell for table in tables for cell in table.columns[name]] for name in names}
    return Table(first.where, columns, sum(map(len, tables)))


def without_labels(texts: Sequence[TextInput]) -> Examples:
    """Return strings, or (first, second) pairs, as examples whose labels are missing.

    Raises:
        DataError: There are none.
    """
    if not texts:
        raise DataError("there are no texts")
    rows = [(text, "") if isinstance(text, str) else text for text in texts]
    return Examples(
        texts=tuple(first for first, _ in rows),
        targets=ClassLabels(np.full(len(texts), ClassLabels.NONE, dtype=np.int64)),
        label_names=(),
        pairs=None if isinstance(texts[0], str) else tuple(second for _, second in rows),
    )


def tokenize_unlabelled(
    texts: Sequence[TextInput],
    tokenizer: "PreTrainedTokenizerBase",
    config: Any,
    max_length: int | None = None,
) -> TokenizedTexts:
    """Tokenize strings, or pairs, for a model.

    Args:
        texts: At least one.
        tokenizer: The model's.
        config: The model's, a lean encoder's.
        max_length: Tokens kept of a text; None: what model and tokenizer allow.

    Raises:
        DataError: There are no texts.
        UsageError: The model has fewer positions than `max_length`.
    """
    task = task_of_head(config.head).SPEC.name
    length = kept_length(max_length, config, tokenizer, task)
    return tokenize(without_labels(texts), tokenizer, length).without_labels()


def _rows(data: Data, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Read the cells of the (column, option) that are wanted, without rows that lack one."""
    if (lines := _lines(data)) is not None:
        if len(wanted) > 1:
            raise DataError(
                f"{describe(data)}: lines of text have no second sentences, and the data has",
                hint="give a table (csv, tsv, jsonl, parquet) with both columns",
            )
        return [(line,) for line in lines]
    rows: list[tuple[str, ...]] = []
    for table in every_table(data):
        columns = [table.columns[column_in(table, name, option)] for name, option in wanted]
        rows += [
            tuple(str(cell) for cell in row)
            for row in zip(*columns, strict=True)
            if not any(is_missing(cell) for cell in row)
        ]
    return rows


def _lines(data: Data) -> list[str] | None:
    """Return texts that are lines of a file, or a list; None of a table."""
    lines: Sequence[str] | None = None
    if not isinstance(data, str | os.PathLike):
        if isinstance(data, list | tuple) and all(isinstance(text, str) for text in data):
            lines = data
    elif not Path(data).is_file():
        raise DataError(f"--unlabelled {data}: there is no such file")
    elif Path(data).suffix.lower() == ".txt":
        lines = read_lines(Path(data))
    return None if lines is None else [line.strip() for line in lines]
