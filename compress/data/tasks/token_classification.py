"""Sentences as lists of words with a tag each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import WordLabels
from compress.data.columns import LISTS_OF_WORDS, NamedColumns, all_columns, column_in, first_column
from compress.data.labels import match_labels, without_hidden
from compress.data.lists import with_lists
from compress.data.missing import Missing, whole_rows, without_missing
from compress.data.table import Table, listed
from compress.errors import DataError, NoLabelsError

__all__ = ["ROW", "read", "recognized", "unlabelled"]

WORDS = (*LISTS_OF_WORDS, "sentence", "text")
TAGS = ("tags", "ner_tags", "labels", "slots", "pos_tags", "chunk_tags", "upos", "entities")
ROW = '{"tokens": ["to", "Rome"], "tags": ["O", "B-city"]}'
_TAG = "tag"  # the column of the tables that tags are matched in, a row each


def recognized(table: Table) -> tuple[str, ...]:
    """See `compress.data.tasks`."""
    return all_columns(table, LISTS_OF_WORDS, TAGS)


def read(
    tables: Mapping[str, Table],
    named: NamedColumns,
    label_names: Sequence[str] | None,
    problem_type: str | None = None,  # noqa: ARG001 - the same for all tasks
    missing: Missing = "refuse",
) -> tuple[dict[str, Examples], list[str]]:
    """See `compress.data.tasks`; words and tags are lists, also such as a CSV
    file holds, or strings split at white space."""
    if named.pair is not None:
        raise DataError("--pair-column: tags are of words of one text, there are no pairs of texts")
    first = next(iter(tables.values()))
    words_in = _column(first, named.text, WORDS, "words", "--text-column")
    tags_in = _column(first, named.label, TAGS, "tags", "--label-column")
    if missing == "fill":
        raise DataError("missing=fill: words and their tags cannot be made up", hint="missing=drop")
    for column in (words_in, tags_in):
        tables = with_lists(tables, column)
    tables, hidden = without_hidden(tables, tags_in, [words_in])
    tables, gaps = without_missing(tables, [words_in], tags_in, missing)
    notes = [*hidden, *gaps, f"Words from column '{words_in}', tags from '{tags_in}'."]
    texts: dict[str, tuple[str, ...]] = {}
    counts: dict[str, list[int]] = {}
    tags: list[Table] = []
    joined = 0
    for name, table in tables.items():
        words = _lists(table, column_in(table, words_in, "--text-column"))
        labels = _lists(table, column_in(table, tags_in, "--label-column"))
        for row, (own, given) in enumerate(zip(words, labels, strict=True), start=1):
            if len(own) != len(given) or not own:
                raise DataError(
                    f"{table.where}: data row {row}: {len(own)} words in '{words_in}' and "
                    f"{len(given)} tags in '{tags_in}'.",
                    hint="Every word needs a tag, and every row a word.",
                )
        joined += sum(len(word.split()) != 1 for own in words for word in own)
        texts[name] = tuple(" ".join(_whole(word) for word in own) for own in words)
        counts[name] = [len(own) for own in words]
        flat = [tag for own in labels for tag in own]
        classes = table.class_names.get(tags_in)
        tags.append(
            Table(
                where=f"{table.where}, '{tags_in}'",
                columns={_TAG: flat},
                length=len(flat),
                class_names={} if classes is None else {_TAG: classes},
            )
        )
    if joined:
        notes.append(f"{joined} words hold white space or nothing: '_' stands in for it.")
    arrays, names, label_notes = match_labels(tags, _TAG, label_names)
    examples = {
        name: Examples(
            texts[name],
            WordLabels(array, np.array(counts[name], dtype=np.int64)),
            names,
            task="token-classification",
        )
        for name, array in zip(tables, arrays, strict=True)
    }
    return examples, notes + label_notes


def unlabelled(
    table: Table,
    named: NamedColumns,
    label_names: Sequence[str] | None,
    problem_type: str | None = None,  # noqa: ARG001 - the same for all tasks
) -> Examples:
    """See `compress.data.tasks`."""
    column = _column(table, named.text, WORDS, "words", "--text-column")
    whole = whole_rows(with_lists({"all": table}, column)["all"], [column])
    words = [own for own in _lists(whole, column) if own]
    counts = np.array([len(own) for own in words], dtype=np.int64)
    return Examples(
        tuple(" ".join(map(_whole, own)) for own in words),
        WordLabels(np.zeros(counts.sum(), dtype=np.int64), counts),
        tuple(label_names or ()),
        task="token-classification",
    )


def _column(
    table: Table, wanted: str | None, names: tuple[str, ...], what: str, option: str
) -> str:
    """The column of words, or of tags."""
    if wanted is not None:
        return column_in(table, wanted, option)
    found = first_column(table, names)
    if found is None:
        kind = NoLabelsError if names == TAGS else DataError
        raise kind(
            f"{table.where}: no column of {what} found (looked for {listed(list(names))}). "
            f"Its columns: {listed(list(table.columns))}.",
            hint=f"Name it with {option} COLUMN.",
        )
    return found


def _lists(table: Table, column: str) -> list[list[Any]]:
    """The column's rows as lists."""
    found = []
    for row, cell in enumerate(table.columns[column], start=1):
        value = cell.split() if isinstance(cell, str) else cell
        if not isinstance(value, list | tuple | np.ndarray):
            raise DataError(
                f"{table.where}: data row {row}, column '{column}': expected a list of words or "
                f"tags, found {type(value).__name__}.",
                hint=f"A record looks like {ROW}.",
            )
        found.append([item if isinstance(item, int) else str(item) for item in value])
    return found


def _whole(word: Any) -> str:
    """A word without white space: that is what separates words."""
    return "_".join(str(word).split()) or "_"
