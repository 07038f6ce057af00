"""Multiple choice: the share of questions whose right answer has the highest score."""

import numpy as np
from numpy.typing import NDArray

from benchmarks import metrics
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.expected import expected_drop as expected
from benchmarks.labels import Choices
from benchmarks.metrics import Drop, Metric
from benchmarks.tasks.regression import changed, drop_by_class
from runtimes.base import MASKED

__all__ = ["by_question", "changed", "drop", "drop_by_class", "expected_drop", "metric"]

Logits = NDArray[np.float32]
"""(N, 1): the score of each pair of prompt and choice."""


def metric(logits: Logits, examples: Examples) -> Metric:
    """Return the share of the questions that are answered right."""
    scores, right = by_question(logits, examples)
    return metrics.accuracy(scores.argmax(axis=1), right)


def drop(reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
    """Return the points of accuracy lost against the reference."""
    before, right = by_question(reference, examples)
    after, _ = by_question(logits, examples)
    return metrics.drop(before.argmax(axis=1), after.argmax(axis=1), right, seed=seed)


def expected_drop(reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
    """Return the drop of accuracy that is to be expected on other questions."""
    before, right = by_question(reference, examples)
    after, _ = by_question(logits, examples)
    return expected(before, after, right)


def by_question(
    logits: Logits, examples: Examples
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return (Q, K) scores, a row a question, and (Q,) the right choices."""
    assert isinstance(examples.targets, Choices)  # examples of this task have them
    _, rows, counts = np.unique(examples.targets.questions, return_inverse=True, return_counts=True)
    places = np.empty(len(rows), dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    places[order] = np.concatenate([np.arange(count) for count in counts])
    # A question may have fewer choices than others.
    scores = np.full((len(counts), counts.max()), MASKED, dtype=np.float32)
    scores[rows, places] = logits[:, 0]
    right = np.zeros(scores.shape)
    right[rows, places] = examples.labels
    return scores, right.argmax(axis=1)
