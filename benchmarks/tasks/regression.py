"""Scores instead of classes: Pearson's correlation with the true ones."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Answer, Differences, Item, compare
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop, as_measured
from benchmarks.labels import Labels
from benchmarks.metrics import ClassDrop, Drop, Metric
from benchmarks.quality import Quality
from benchmarks.stats import Interval

__all__ = [
    "answers",
    "changed",
    "differences",
    "differing_numbers",
    "drop",
    "drop_by_class",
    "expected_drop",
    "metric",
    "quality",
]

Logits = NDArray[np.float32]

_RESAMPLES, _CHUNK = 2000, 4_000_000


def answers(logits: Logits, examples: Examples) -> Labels:
    """Return the scores."""
    return replace(examples.targets, values=logits[:, 0].astype(np.float64))


def metric(logits: Logits, examples: Examples) -> Metric:
    """Return the correlation in points (100 is perfect); its interval resamples texts."""
    own, true = logits[:, 0].astype(np.float64), examples.labels.astype(np.float64)
    value = float(_pearson(own[None], true[None])[0])
    drawn = np.concatenate([_pearson(own[rows], true[rows]) for rows in _resamples(len(own), 0)])
    return Metric.of("Pearson", _interval(value, drawn), len(examples))


def drop(reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
    """Return the points of correlation lost; the p-value is of the bootstrap (two-sided)."""
    before, after = reference[:, 0].astype(np.float64), logits[:, 0].astype(np.float64)
    true = examples.labels.astype(np.float64)
    value = float((_pearson(before[None], true[None]) - _pearson(after[None], true[None]))[0])
    drawn = np.concatenate(
        [
            _pearson(before[rows], true[rows]) - _pearson(after[rows], true[rows])
            for rows in _resamples(len(true), seed)
        ]
    )
    tail = min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
    return Drop.of(_interval(value, drawn), min(1.0, 2 * tail))


def drop_by_class(
    reference: Logits,  # noqa: ARG001 - the same for all tasks
    logits: Logits,  # noqa: ARG001
    examples: Examples,  # noqa: ARG001
) -> tuple[ClassDrop, ...]:
    """Return nothing: there are no classes."""
    return ()


def quality(
    logits: Logits,  # noqa: ARG001 - the same for all tasks
    examples: Examples,  # noqa: ARG001
) -> Quality | None:
    """Return nothing: no classes are decided, and scores are not chances."""
    return None


def differences(reference: Logits, logits: Logits, examples: Examples) -> Differences:
    """Return the texts whose scores differ (`changed`), those first that are furthest apart."""
    pairs = examples.pairs or (None,) * len(examples)
    return differing_numbers(
        list(zip(examples.texts, pairs, strict=True)),
        examples.labels,
        (reference[:, 0], logits[:, 0]),
        changed(reference, logits),
    )


def differing_numbers(
    texts: Sequence[tuple[str, str | None]],
    true: NDArray[np.float64],
    answers: tuple[NDArray[Any], NDArray[Any]],
    differ: NDArray[np.bool_],
) -> Differences:
    """Return the N texts whose numbers differ.

    Args:
        texts: Each with its pair, if it has one.
        true: (N,) right numbers, in the unit of the answers or not.
        answers: (N,) numbers of the reference and of another model.
        differ: (N,) where they differ.
    """
    items = [
        Item(text, f"{label:.2f}", pair) for (text, pair), label in zip(texts, true, strict=True)
    ]
    errors = [np.abs(own - true) for own in answers]
    first, second = (
        [
            Answer(f"{value:.2f}", None, bool(right))
            for value, right in zip(own, better, strict=True)
        ]
        for own, better in zip(answers, (errors[0] < errors[1], errors[1] < errors[0]), strict=True)
    )
    apart = np.where(differ, np.abs(answers[0] - answers[1]), 0.0)
    return compare(items, first, second, apart=apart.tolist())


def changed(one: Logits, other: Logits) -> NDArray[np.bool_]:
    """Return (N,) where scores differ by more than a tenth of their spread."""
    return np.asarray(np.abs(one - other)[:, 0] > 0.1 * one.std())


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the measured drop, and the spread of what other texts would have given."""
    return as_measured(drop(reference, logits, examples, seed=0))


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, min(float(low), value), max(float(high), value))


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return correlations of the rows of (B, N) and (B, N); 0 where one does not vary."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    products: NDArray[np.float64] = (a * b).sum(axis=1)
    return np.asarray(products / np.where(scale > 0, scale, np.inf), dtype=np.float64)


def _resamples(rows: int, seed: int) -> list[NDArray[np.int64]]:
    """Draw rows with replacement, (b, N) at once, 2000 in all."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // rows)
    return [
        rng.integers(0, rows, size=(min(step, _RESAMPLES - start), rows))
        for start in range(0, _RESAMPLES, step)
    ]
