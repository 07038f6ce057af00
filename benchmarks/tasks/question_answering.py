"""Question answering: F1 of the words of an answer, as SQuAD counts it."""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Answer, Differences, Item, compare
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop, as_measured
from benchmarks.labels import Labels, Spans
from benchmarks.metrics import Drop, Metric, equally_right
from benchmarks.quality import Quality, calibration
from benchmarks.stats import mean_interval, paired_difference_interval
from benchmarks.tasks.regression import drop_by_class

__all__ = [
    "answers",
    "changed",
    "differences",
    "drop",
    "drop_by_class",
    "exact_match",
    "expected_drop",
    "f1",
    "metric",
    "quality",
]

Answers = NDArray[np.float32]
"""(N, 4): start, end, score and the chance of no answer (`runtimes.tasks.question_answering`)."""

_NONE = "no answer"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answers(logits: Answers, examples: Examples) -> Labels:
    """Return the likeliest spans, as where every question has an answer."""
    assert examples.pairs is not None  # questions have contexts
    spans = logits[:, :2].astype(np.int64)
    cut = zip(examples.pairs, spans.tolist(), strict=True)
    return Spans(spans, [(context[start:end],) for context, (start, end) in cut])


def metric(answers: Answers, examples: Examples) -> Metric:
    """Return the mean F1 of the questions; its interval resamples them."""
    interval = mean_interval(_scores(answers, examples), resamples=2000)
    return Metric.of("F1", interval, len(examples))


def drop(reference: Answers, answers: Answers, examples: Examples, *, seed: int) -> Drop:
    """Return the points of F1 lost; the p-value is of exact matches."""
    before, after = _scores(reference, examples), _scores(answers, examples)
    interval = paired_difference_interval(before, after, seed=seed, resamples=2000)
    first, second = (exact_match(each, examples) for each in (reference, answers))
    return Drop.of(interval, equally_right(first, second))


def changed(one: Answers, other: Answers) -> NDArray[np.bool_]:
    """Return (N,) where another span is the answer."""
    return np.asarray((one[:, :2] != other[:, :2]).any(axis=1))


def expected_drop(reference: Answers, answers: Answers, examples: Examples) -> ExpectedDrop:
    """Return the measured drop, and the spread of what other questions would have given."""
    return as_measured(drop(reference, answers, examples, seed=0))


def quality(answers: Answers, examples: Examples) -> Quality:
    """Return whether scores hold, as chances of an exact match."""
    return calibration(_confidence(answers, examples), exact_match(answers, examples))


def differences(reference: Answers, answers: Answers, examples: Examples) -> Differences:
    """Return the questions that get another answer, in normal form."""
    assert examples.pairs is not None  # questions have contexts
    items = [
        Item(question, true[0] or _NONE, context, int(own[0]))
        for question, true, context, own in zip(
            examples.texts, _true(examples), examples.pairs, reference, strict=True
        )
    ]
    first, second = (_answers(each, examples) for each in (reference, answers))
    apart = [
        0.0 if _words(a.text) == _words(b.text) else 1 + min(a.score or 0.0, b.score or 0.0)
        for a, b in zip(first, second, strict=True)
    ]
    return compare(items, first, second, apart=apart)


def exact_match(answers: Answers, examples: Examples) -> NDArray[np.bool_]:
    """Return (N,) whether an answer is, in normal form, one of those that are right."""
    return np.array(
        [
            any(_words(given) == _words(right) for right in true)
            for given, true in zip(_texts(answers, examples), _true(examples), strict=True)
        ],
        dtype=np.bool_,
    )


def f1(given: str, right: str) -> float:
    """Return F1 of an answer's words, in normal form: without case, punctuation and articles."""
    own, true = _words(given), _words(right)
    if not own or not true:
        return float(own == true)
    common = sum((Counter(own) & Counter(true)).values())
    return 2 * common / (len(own) + len(true))


def _scores(answers: Answers, examples: Examples) -> NDArray[np.float64]:
    return np.array(
        [
            max(f1(given, right) for right in true)
            for given, true in zip(_texts(answers, examples), _true(examples), strict=True)
        ]
    )


def _answers(answers: Answers, examples: Examples) -> list[Answer]:
    parts = (
        _texts(answers, examples),
        _confidence(answers, examples),
        exact_match(answers, examples),
    )
    return [
        Answer(text or _NONE, float(score), bool(right))
        for text, score, right in zip(*parts, strict=True)
    ]


def _confidence(answers: Answers, examples: Examples) -> NDArray[np.float64]:
    """Return (N,) scores of what is answered: of a span, or of there being none."""
    score, none = answers[:, 2], answers[:, 3]
    chosen = np.maximum(score, none) if _may_be_none(examples) else score
    return np.clip(chosen.astype(np.float64), 0.0, 1.0)


def _texts(answers: Answers, examples: Examples) -> list[str]:
    """Return the answers; empty where that is likelier and the data has such questions."""
    assert examples.pairs is not None  # questions have contexts
    may_be_none = _may_be_none(examples)
    return [
        "" if may_be_none and none > score else context[int(start) : int(end)]
        for context, (start, end, score, none) in zip(examples.pairs, answers, strict=True)
    ]


def _may_be_none(examples: Examples) -> bool:
    return any("" in true for true in _true(examples))


def _true(examples: Examples) -> Sequence[tuple[str, ...]]:
    assert isinstance(examples.targets, Spans)  # examples of this task have them
    return examples.targets.answers


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.casefold().translate(_PUNCTUATION)).split()
