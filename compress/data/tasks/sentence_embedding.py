"""Pairs of sentences with a score of how much they mean the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import PairScores
from compress.data.columns import LABELS, NamedColumns, first_column, pair_of
from compress.data.missing import Missing
from compress.data.table import Table
from compress.data.tasks import text_classification
from compress.errors import DataError

__all__ = ["ROW", "read", "recognized", "unlabelled"]

ROW = '{"text": "a", "text_pair": "b", "score": 0.9}'


def recognized(table: Table) -> tuple[str, ...]:
    """See `compress.data.tasks`."""
    pair, score = pair_of(table), first_column(table, LABELS)
    if pair is None or score is None or not isinstance(table.columns[score][0], float):
        return ()
    return (*pair, score)


def read(
    tables: Mapping[str, Table],
    named: NamedColumns,
    label_names: Sequence[str] | None,  # noqa: ARG001 - the same for all tasks
    problem_type: str | None = None,  # noqa: ARG001
    missing: Missing = "refuse",
) -> tuple[dict[str, Examples], list[str]]:
    """See `compress.data.tasks`; `text` and `pair` name the sentences, `label` the score."""
    examples, notes = text_classification.read(tables, named, None, "regression", missing)
    return {name: _alternating(part, name) for name, part in examples.items()}, notes


def unlabelled(
    table: Table,
    named: NamedColumns,
    label_names: Sequence[str] | None,  # noqa: ARG001 - the same for all tasks
    problem_type: str | None = None,  # noqa: ARG001
) -> Examples:
    """See `compress.data.tasks`; single texts are paired with the next one."""
    found = text_classification.unlabelled(table, named, None, "regression")
    if found.pairs is None:
        texts = list({" ".join(text.casefold().split()): text for text in found.texts}.values())
        half = len(texts) // 2
        found = replace(
            found.take(range(half)), texts=tuple(texts[0:-1:2]), pairs=tuple(texts[1::2])
        )
    return _alternating(found, "only")


def _alternating(examples: Examples, name: str) -> Examples:
    """Each pair as two texts, one after the other."""
    if examples.pairs is None:
        raise DataError(
            f"the {name} split has no pairs of sentences, by which vectors are judged",
            hint=f"A row looks like {ROW}; name columns "
            "with --text-column, --pair-column and --label-column.",
        )
    both = zip(examples.texts, examples.pairs, strict=True)
    return Examples(
        texts=tuple(text for pair in both for text in pair),
        targets=PairScores(np.repeat(examples.labels, 2), np.repeat(np.arange(len(examples)), 2)),
        label_names=(),
        task="sentence-embedding",
    )
