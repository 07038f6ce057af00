"""Text with masked words: as it comes, or masked here.

A row `{"text": "the [MASK] sat", "label": "cat"}` is taken as it is. Of plain text, words that are
one token are masked, a seventh of a text's words and at least one, always the same ones.
"""

import random
import re
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import WordLabels
from compress.data.columns import NamedColumns, all_columns, column_in, first_column
from compress.data.missing import Missing, whole_rows
from compress.data.table import Table, is_missing
from compress.errors import DataError
from runtimes.tasks.fill_mask import MASKS

__all__ = ["ROW", "read", "recognized", "unlabelled"]

ROW = '{"text": "a [MASK] day", "label": "nice"}'

_TEXTS = ("text", "sentence", "masked_sentence", "content", "line")
_LABELS = ("label", "answer", "obj_label", "target")
_WORD = re.compile(r"(?<!\S)\w+(?!\S)")
_SHARE = 1 / 7  # of the words; BERT masks 15% of the tokens
_SPACES = ("Ġ", "▁")  # what tokens begin with in front of which there is a space


def recognized(table: Table) -> tuple[str, ...]:
    """See `compress.data.tasks`."""
    return all_columns(table, _TEXTS)


def read(
    tables: Mapping[str, Table],
    named: NamedColumns,
    label_names: Sequence[str] | None,
    problem_type: str | None = None,  # noqa: ARG001 - the same for all tasks
    missing: Missing = "refuse",
) -> tuple[dict[str, Examples], list[str]]:
    """See `compress.data.tasks`; `label_names` is the vocabulary by id, `text` names the column of
    texts, `label` that of masked words, if there is one."""
    if missing != "refuse":
        raise DataError(f"missing={missing}: there is nothing to put into an empty text")
    vocabulary = _Vocabulary(label_names)
    reference = next(iter(tables.values()))
    text = _text_column(reference, named)
    label = named.label or first_column(reference, _LABELS)
    examples, notes = {}, list[str]()
    for name, table in tables.items():
        texts = [str(cell) for cell in table.columns[column_in(table, text, "--text-column")]]
        if any(is_missing(cell) for cell in texts):
            raise DataError(f"{table.where}: there are empty texts")
        if any(mask in cell for cell in texts for mask in MASKS):
            if label is None:
                raise DataError(
                    f"{table.where}: texts have masks, but no column says what stands there",
                    hint="Name it with --label-column.",
                )
            words = table.columns[column_in(table, label, "--label-column")]
            rows = [
                (cell, vocabulary.ids(cell, str(own), f"{table.where}: data row {row}"))
                for row, (cell, own) in enumerate(zip(texts, words, strict=True), start=1)
            ]
        else:
            drawn = [vocabulary.masked(cell) for cell in texts]
            rows = [(cell, ids) for cell, ids in drawn if ids]
            notes.append(
                f"{sum(len(ids) for _, ids in rows)} words of {len(rows)} {name} texts are masked; "
                f"{len(texts) - len(rows)} texts have no word that is one token."
            )
        if not rows:
            raise DataError(f"{table.where}: no text has a word that is one token of the model")
        examples[name] = _examples(rows)
    return examples, notes


def unlabelled(
    table: Table,
    named: NamedColumns,
    label_names: Sequence[str] | None,
    problem_type: str | None = None,  # noqa: ARG001 - the same for all tasks
) -> Examples:
    """See `compress.data.tasks`; what has no mask is masked as in `read`."""
    vocabulary = _Vocabulary(label_names)
    column = column_in(table, _text_column(table, named), "--text-column")
    rows = []
    for cell in map(str, whole_rows(table, [column]).columns[column]):
        masks = sum(cell.count(mask) for mask in MASKS)
        text, ids = (cell, [0] * masks) if masks else vocabulary.masked(cell)
        if ids:
            rows.append((text, ids))
    return _examples(rows)


def _text_column(table: Table, named: NamedColumns) -> str:
    text = named.text or first_column(table, _TEXTS)
    if text is None:
        raise DataError(f"{table.where}: no column of texts; name it with --text-column")
    return text


def _examples(rows: Sequence[tuple[str, list[int]]]) -> Examples:
    """Texts with the tokens of their masked words."""
    return Examples(
        texts=tuple(cell for cell, _ in rows),
        targets=WordLabels(
            np.array([i for _, ids in rows for i in ids], dtype=np.int64),
            np.array([len(ids) for _, ids in rows], dtype=np.int64),
        ),
        label_names=(),
        task="fill-mask",
    )


class _Vocabulary:
    """Finds words among a model's tokens."""

    def __init__(self, names: Sequence[str] | None) -> None:
        if names is None:
            raise DataError("masked words need a model with a vocabulary to be read for")
        self._ids = {name: index for index, name in enumerate(names)}
        found = [mask for mask in MASKS if mask in self._ids]
        if not found:
            raise DataError("the model's vocabulary has no token for what is masked")
        self._mask = found[0]
        space = next((s for s in _SPACES if any(name.startswith(s) for name in names)), "")
        self._spellings = (space,) if space else ("",)

    def id(self, word: str) -> int | None:
        """A word's token; None where it is none, or several."""
        for spelling in (word, word.lower()):
            for space in self._spellings:
                if (found := self._ids.get(space + spelling)) is not None:
                    return found
        return None

    def ids(self, text: str, words: str, where: str) -> list[int]:
        """The tokens of a text's masked words, which spaces separate."""
        found = [self.id(word) for word in words.split()]
        count = sum(text.count(mask) for mask in MASKS)
        if len(found) != count or None in found:
            raise DataError(
                f"{where}: '{words}' is not one token of the model for each of the {count} masks."
            )
        return [index for index in found if index is not None]

    def masked(self, text: str) -> tuple[str, list[int]]:
        """The text with some of its words masked, and their tokens."""
        known = [(m, i) for m in _WORD.finditer(text) if (i := self.id(m[0])) is not None]
        rng = random.Random(text)
        count = min(len(known), max(1, round(_SHARE * len(text.split()))))
        chosen = sorted(rng.sample(range(len(known)), count))
        for place in reversed(chosen):
            start, end = known[place][0].span()
            text = f"{text[:start]}{self._mask}{text[end:]}"
        return text, [known[place][1] for place in chosen]
