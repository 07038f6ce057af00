"""Text without labels, for the teacher to label."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.data.columns import NamedColumns, column_in
from compress.data.formats.decoding import read_lines
from compress.data.memory import Data, describe
from compress.data.reading import every_table
from compress.data.splitting import Splits, keys
from compress.data.table import is_missing
from compress.data.tokenized import TokenizedTexts, kept_length, tokenize
from compress.errors import DataError
from runtimes.base import TextInput
from runtimes.registry import task_of_head

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["load_unlabelled", "tokenize_unlabelled", "without_labels"]


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
    lines: Iterable[str] | None = None
    if not isinstance(data, str | os.PathLike):
        if isinstance(data, list | tuple) and all(isinstance(text, str) for text in data):
            lines = data
    elif not Path(data).is_file():
        raise DataError(f"--unlabelled {data}: there is no such file")
    elif Path(data).suffix.lower() == ".txt":
        lines = read_lines(Path(data))
    if lines is not None:
        if len(wanted) > 1:
            raise DataError(
                f"{describe(data)}: lines of text have no second sentences, and the data has",
                hint="give a table (csv, tsv, jsonl, parquet) with both columns",
            )
        return [(line.strip(),) for line in lines]
    rows: list[tuple[str, ...]] = []
    for table in every_table(data):
        columns = [table.columns[column_in(table, name, option)] for name, option in wanted]
        rows += [
            tuple(str(cell) for cell in row)
            for row in zip(*columns, strict=True)
            if not any(is_missing(cell) for cell in row)
        ]
    return rows
