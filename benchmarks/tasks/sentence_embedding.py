"""Sentence embedding: how the cosines of pairs rank, against their scores (Spearman)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Differences
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.labels import Labels, Scores
from benchmarks.metrics import Drop, Metric
from benchmarks.stats import ranks
from benchmarks.tasks import regression
from benchmarks.tasks.regression import differing_numbers, drop_by_class, quality

__all__ = [
    "answers",
    "changed",
    "cosines",
    "differences",
    "drop",
    "drop_by_class",
    "expected_drop",
    "metric",
    "quality",
]

Vectors = NDArray[np.float32]

_APART = 0.1  # the difference from which two cosines of a pair are worth a look
_ALIKE = 0.99  # the cosine from which two vectors of a text count as the same


def answers(vectors: Vectors, examples: Examples) -> Labels:
    """Return the cosines of the pairs."""
    return replace(examples.targets, values=np.repeat(cosines(vectors), 2))


def metric(vectors: Vectors, examples: Examples) -> Metric:
    """Return Spearman's correlation in points; its interval resamples pairs, by all their ranks."""
    found = regression.metric(*_ranks(vectors, examples))
    return replace(found, name="Spearman")


def drop(reference: Vectors, vectors: Vectors, examples: Examples, *, seed: int) -> Drop:
    """Return the points of correlation lost; the p-value is of the bootstrap (two-sided)."""
    before, pairs = _ranks(reference, examples)
    after, _ = _ranks(vectors, examples)
    return regression.drop(before, after, pairs, seed=seed)


def changed(one: Vectors, other: Vectors) -> NDArray[np.bool_]:
    """Return (N,) where two vectors of a text do not point the same way."""
    return np.asarray((_directions(one) * _directions(other)).sum(axis=1) < _ALIKE)


def differences(reference: Vectors, vectors: Vectors, examples: Examples) -> Differences:
    """Return the pairs whose cosines are more than 0.1 apart, those first that are furthest.

    Of labels, which may be in any unit, the better answer is the one whose rank is nearer; so the
    words say what is a score and what a cosine.
    """
    before, after = cosines(reference), cosines(vectors)
    found = differing_numbers(
        list(zip(examples.texts[::2], examples.texts[1::2], strict=True)),
        examples.labels[::2].astype(np.float64),
        (before, after),
        np.abs(before - after) > _APART,
    )
    true, (first, second) = ranks(examples.labels[::2]), (ranks(each) for each in (before, after))
    nearer = np.abs(first - true) - np.abs(second - true)
    apart = np.abs(before - after) > _APART
    return replace(
        found,
        reference_right=int((apart & (nearer < 0)).sum()),
        answer_right=int((apart & (nearer > 0)).sum()),
        texts=tuple(
            replace(
                each,
                label=f"score {each.label}",
                reference=f"cosine {each.reference}",
                answer=f"cosine {each.answer}",
            )
            for each in found.texts
        ),
    )


def expected_drop(reference: Vectors, vectors: Vectors, examples: Examples) -> ExpectedDrop:
    """Return the measured drop, and the spread of what other pairs would have given."""
    before, pairs = _ranks(reference, examples)
    after, _ = _ranks(vectors, examples)
    return regression.expected_drop(before, after, pairs)


def cosines(vectors: Vectors) -> NDArray[np.float64]:
    """Return (P,) cosines of pairs, whose two vectors of (2 P, H) stand one after the other."""
    directions = _directions(vectors)
    return np.asarray((directions[::2] * directions[1::2]).sum(axis=1))


def _ranks(vectors: Vectors, examples: Examples) -> tuple[NDArray[np.float32], Examples]:
    """Return ranks of the pairs by cosine, (P, 1), and the pairs with those of their scores."""
    own = ranks(cosines(vectors)).astype(np.float32)[:, None]
    true = ranks(examples.labels[::2])
    pairs = Examples(examples.texts[::2], Scores(true), ("score",))
    return own, pairs


def _directions(vectors: Vectors) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float64)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float64)
