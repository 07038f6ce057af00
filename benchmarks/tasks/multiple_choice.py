"""Multiple choice: the share of questions whose right answer has the highest score."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import metrics
from benchmarks.differences import Answer, Differences, Item, compare
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.expected import expected_drop as expected
from benchmarks.labels import Choices, Labels
from benchmarks.metrics import Drop, Metric
from benchmarks.quality import Quality, calibration, softmax
from benchmarks.tasks.regression import changed, drop_by_class
from runtimes.base import MASKED

__all__ = [
    "answers",
    "by_question",
    "changed",
    "differences",
    "drop",
    "drop_by_class",
    "expected_drop",
    "metric",
    "quality",
]

Logits = NDArray[np.float32]
"""(N, 1): the score of each pair of prompt and choice."""


def answers(logits: Logits, examples: Examples) -> Labels:
    """Return 1 for each question's choice of the highest score, 0 for the others."""
    assert isinstance(examples.targets, Choices)  # examples of this task have them
    scores, rows, places = _rows(logits, examples.targets)
    chosen = (places == scores.argmax(axis=1)[rows]).astype(np.float64)
    return replace(examples.targets, values=chosen)


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


def quality(logits: Logits, examples: Examples) -> Quality:
    """Return whether scores hold: softmax over a question's choices."""
    scores, right = by_question(logits, examples)
    chances = softmax(scores)
    return calibration(chances.max(axis=1), chances.argmax(axis=1) == right)


def differences(reference: Logits, logits: Logits, examples: Examples) -> Differences:
    """Return the questions for which another choice is taken."""
    assert isinstance(examples.targets, Choices)  # examples of this task have them
    assert examples.pairs is not None  # prompts have choices
    order = np.argsort(examples.targets.questions, kind="stable")
    _, starts = np.unique(examples.targets.questions[order], return_index=True)
    prompts = [examples.texts[order[start]] for start in starts]
    choices = [
        [examples.pairs[place] for place in own] for own in np.split(order, starts[1:].tolist())
    ]
    _, right = by_question(reference, examples)

    def answers(each: Logits) -> list[Answer]:
        chances = softmax(by_question(each, examples)[0])
        return [
            Answer(own[best], float(scores[best]), bool(best == true))
            for own, scores, best, true in zip(
                choices, chances, chances.argmax(axis=1), right, strict=True
            )
        ]

    items = [
        Item(prompt, own[true]) for prompt, own, true in zip(prompts, choices, right, strict=True)
    ]
    return compare(items, answers(reference), answers(logits))


def by_question(
    logits: Logits, examples: Examples
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return (Q, K) scores, a row a question, and (Q,) the right choices."""
    assert isinstance(examples.targets, Choices)  # examples of this task have them
    scores, rows, places = _rows(logits, examples.targets)
    right = np.zeros(scores.shape)
    right[rows, places] = examples.labels
    return scores, right.argmax(axis=1)


def _rows(
    logits: Logits, choices: Choices
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return (Q, K) scores, a row a question, and of each choice (N,) its row and its place."""
    _, rows, counts = np.unique(choices.questions, return_inverse=True, return_counts=True)
    places = np.empty(len(rows), dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    places[order] = np.concatenate([np.arange(count) for count in counts])
    # A question may have fewer choices than others.
    scores = np.full((len(counts), counts.max()), MASKED, dtype=np.float32)
    scores[rows, places] = logits[:, 0]
    return scores, rows, places
