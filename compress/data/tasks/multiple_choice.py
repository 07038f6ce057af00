"""Questions with several answers to choose from, of which one is right."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import Choices
from compress.data.columns import NamedColumns, all_columns, cells, first_column
from compress.data.labels import without_hidden
from compress.data.lists import with_lists
from compress.data.missing import Missing
from compress.data.table import Table, is_missing
from compress.errors import DataError, NoLabelsError

__all__ = ["ROW", "read", "recognized", "unlabelled"]

ROW = '{"prompt": "he ran", "choices": ["away", "blue"], "label": 0}'

_PROMPTS = ("prompt", "question", "sent1", "context", "premise", "startphrase", "text")
_CHOICES = ("choices", "options", "endings", "answers")
_NUMBERED = re.compile(r"(?:ending|choice|option|answer|sol)_?(\d)", re.IGNORECASE)
_LABELS = ("label", "answer", "answerkey", "correct", "gold")
_LETTERS = "ABCDEFGHIJ"


def recognized(table: Table) -> tuple[str, ...]:
    """See `compress.data.tasks`."""
    numbered = tuple(name for name in table.columns if _NUMBERED.fullmatch(name))
    return all_columns(table, _PROMPTS, numbered or ("choices", "options", "endings"), _LABELS)


def read(
    tables: Mapping[str, Table],
    named: NamedColumns,
    label_names: Sequence[str] | None,  # noqa: ARG001 - the same for all tasks
    problem_type: str | None = None,  # noqa: ARG001
    missing: Missing = "refuse",
) -> tuple[dict[str, Examples], list[str]]:
    """See `compress.data.tasks`; `text` names the column of prompts, `pair` that of lists of
    choices (without it, columns such as `ending0`, `ending1` are found), `label` the right one's:
    its place from 0, its letter, or its text."""
    if missing != "refuse":
        raise DataError(f"missing={missing}: a question without a choice cannot be used")
    first = next(iter(tables.values()))
    column, prompts = named.label or first_column(first, _LABELS), first_column(first, _PROMPTS)
    notes = list[str]()
    if column is not None:
        texts = [text for text in (named.text or prompts,) if text is not None]
        tables, notes = without_hidden(tables, column, texts)
    if (choices := named.pair or first_column(first, _CHOICES)) is not None:
        tables = with_lists(tables, choices)
    return {name: _examples(table, named) for name, table in tables.items()}, notes


def _examples(table: Table, named: NamedColumns) -> Examples:
    prompts = cells(table, named.text, _PROMPTS, "--text-column")
    labels = cells(table, named.label, _LABELS, "--label-column", kind=NoLabelsError)
    asked = list[tuple[str, list[str], int]]()
    rows = zip(prompts, _choices(table, named.pair), labels, strict=True)
    for row, (prompt, choices, label) in enumerate(rows, start=1):
        where = f"{table.where}: data row {row}"
        if not isinstance(prompt, str) or is_missing(prompt):
            raise DataError(f"{where}: there is no prompt.")
        if len(choices) < 2 or any(is_missing(choice) for choice in choices):
            raise DataError(
                f"{where}: a question needs two choices or more, each of them text; it has "
                f"{choices!r:.80}."
            )
        answers = [str(choice) for choice in choices]
        asked.append((prompt, answers, _place(label, answers, where)))
    return _in_rows(asked)


def unlabelled(
    table: Table,
    named: NamedColumns,
    label_names: Sequence[str] | None,  # noqa: ARG001 - the same for all tasks
    problem_type: str | None = None,  # noqa: ARG001
) -> Examples:
    """See `compress.data.tasks`."""
    if (column := named.pair or first_column(table, _CHOICES)) is not None:
        table = with_lists({"all": table}, column)["all"]
    prompts = cells(table, named.text, _PROMPTS, "--text-column")
    rows = zip(prompts, _choices(table, named.pair), strict=True)
    return _in_rows(
        [
            (str(prompt), [str(choice) for choice in choices], 0)
            for prompt, choices in rows
            if len(choices) > 1 and not any(map(is_missing, (prompt, *choices)))
        ]
    )


def _in_rows(asked: Sequence[tuple[str, list[str], int]]) -> Examples:
    """Prompts with their choices and the place of the right one, a row a choice."""
    texts, pairs, right, questions = list[str](), list[str](), list[float](), list[int]()
    for number, (prompt, choices, place) in enumerate(asked):
        texts += [prompt] * len(choices)
        pairs += choices
        right += [float(index == place) for index in range(len(choices))]
        questions += [number] * len(choices)
    return Examples(
        texts=tuple(texts),
        targets=Choices(np.array(right, dtype=np.float64), np.array(questions, dtype=np.int64)),
        label_names=("score",),
        pairs=tuple(pairs),
        task="multiple-choice",
    )


def _choices(table: Table, wanted: str | None) -> list[list[Any]]:
    """A list of choices a row."""
    numbered = sorted(name for name in table.columns if _NUMBERED.fullmatch(name))
    if wanted is None and len(numbered) > 1:
        return [list(row) for row in zip(*(table.columns[n] for n in numbered), strict=True)]
    found = []
    for row, cell in enumerate(cells(table, wanted, _CHOICES, "--pair-column"), start=1):
        choices = cell.get("text") if isinstance(cell, dict) else cell
        if not isinstance(choices, list | tuple | np.ndarray):
            raise DataError(
                f"{table.where}: data row {row}: {cell!r:.60} is no list of choices.",
                hint='In JSON lines, a row looks like {"prompt": "...", "choices": ["...", "..."], '
                '"label": 0}.',
            )
        found.append(list(choices))
    return found


def _place(label: Any, choices: Sequence[str], where: str) -> int:
    """Which choice is right, from 0."""
    text = str(label).strip()
    # A number is a place even where choices are numbers: "2", "0" and "1", label 0.
    if text in choices and not isinstance(label, int | np.integer):
        return choices.index(text)
    if text.isdigit() and int(text) < len(choices):
        return int(text)
    if len(text) == 1 and text.upper() in _LETTERS[: len(choices)]:
        return _LETTERS.index(text.upper())
    raise DataError(
        f"{where}: the label {label!r} is none of its {len(choices)} choices.",
        hint="A label is a choice's place from 0, its letter from A, or its text.",
    )
