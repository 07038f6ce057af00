"""Labelled examples of every task, and what an original and a smaller model answer to them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import (
    Choices,
    ClassLabels,
    LabelSets,
    PairScores,
    Scores,
    Spans,
    WordLabels,
)

__all__ = ["ANSWERED", "Answered", "answered"]

Answered = tuple[Examples, NDArray[np.float32], NDArray[np.float32]]
"""Examples, and logits of the original and of the smaller model."""

WORDS = (
    *("a", "gorgeous", ",", "witty", "film", "that", "never", "quite"),
    *("forgets", "how", "cruel", "its", "silence", "is"),
)
CITIES = ("Rome", "Bonn", "Oslo", "Lima")
TAGS = ("O", "B-artist", "I-artist", "B-city", "I-city")


def answered(name: str, count: int = 240) -> Answered:
    """Return what two models answer to `count` texts (pairs or questions) of a kind of labels.

    Args:
        name: One of `ANSWERED`: a task, or a kind of labels of text classification.
        count: How many.
    """
    return ANSWERED[name](np.random.default_rng(0), count)


def _texts(draw: np.random.Generator, count: int) -> tuple[str, ...]:
    return tuple(" ".join(draw.choice(WORDS, draw.integers(3, 14))) for _ in range(count))


def _classes(
    draw: np.random.Generator, count: int, names: tuple[str, ...], task: str = "text-classification"
) -> Answered:
    labels = draw.integers(0, len(names), count)
    near = 3.0 * np.eye(len(names))[labels]
    logits = near + 1.5 * draw.normal(size=near.shape)
    examples = Examples(_texts(draw, count), ClassLabels(labels), names, task=task)
    return examples, _float(logits), _float(logits + 0.9 * draw.normal(size=near.shape))


def _label_sets(draw: np.random.Generator, count: int) -> Answered:
    names = ("happy", "sad", "funny", "long")
    labels = (draw.random((count, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(np.int64)
    logits = 4.0 * labels - 2 + 1.5 * draw.normal(size=labels.shape)
    return (
        Examples(_texts(draw, count), LabelSets(labels), names),
        _float(logits),
        _float(logits + draw.normal(size=labels.shape)),
    )


def _scores(draw: np.random.Generator, count: int) -> Answered:
    labels = draw.normal(size=count)
    logits = labels[:, None] + 0.3 * draw.normal(size=(count, 1))
    examples = Examples(_texts(draw, count), Scores(labels), ("score",))
    return examples, _float(logits), _float(logits + 0.2 * draw.normal(size=(count, 1)))


def _tags(draw: np.random.Generator, count: int) -> Answered:
    texts, tags = [], list[list[int]]()
    for _ in range(count):
        words, own = ["play"], [0]
        for kind, names in ((1, WORDS), (3, CITIES)):
            for place in range(draw.integers(0, 3)):
                words.append(str(draw.choice(names)))
                own.append(kind + (place > 0))
            words.append("now")
            own.append(0)
        texts.append(" ".join(words))
        tags.append(own)
    labels = np.array([tag for own in tags for tag in own])
    logits = 4.0 * np.eye(len(TAGS))[labels] + 1.2 * draw.normal(size=(len(labels), len(TAGS)))
    targets = WordLabels(labels, np.array([len(own) for own in tags]))
    examples = Examples(tuple(texts), targets, TAGS, task="token-classification")
    return examples, _float(logits), _float(logits + 0.8 * draw.normal(size=logits.shape))


def _spans(draw: np.random.Generator, count: int) -> Answered:
    contexts, spans, answers = [], [], []
    for number in range(count):
        before = " ".join(draw.choice(WORDS, draw.integers(3, 160)))
        answer = str(draw.choice(CITIES))
        contexts.append(f"{before} {answer} and then some more of it")
        spans.append((len(before) + 1, len(before) + 1 + len(answer)))
        answers.append(("",) if number % 6 == 0 else (answer,))
    values = np.array(spans)

    def said(wrong: float) -> NDArray[np.float32]:
        rows = np.zeros((count, 4))
        rows[:, :2] = values
        rows[:, 2] = draw.uniform(0.3, 1.0, count)
        rows[:, 3] = np.where([own == ("",) for own in answers], 0.99, 0.01)
        missed = draw.random(count) < wrong
        rows[missed, :2] = [0, 5]
        rows[missed, 2] *= 0.6
        return _float(rows)

    targets = Spans(values, tuple(answers))
    names = tuple(f"where was {number}?" for number in range(count))
    examples = Examples(names, targets, (), tuple(contexts), task="question-answering")
    return examples, said(0.1), said(0.2)


def _choices(draw: np.random.Generator, count: int) -> Answered:
    questions = np.repeat(np.arange(count), 3)
    right = np.zeros((count, 3))
    right[np.arange(count), draw.integers(0, 3, count)] = 1.0
    scores = 2.0 * right.reshape(-1, 1) + draw.normal(size=(3 * count, 1))
    prompts = tuple(text for text in _texts(draw, count) for _ in range(3))
    examples = Examples(
        prompts,
        Choices(right.ravel(), questions),
        ("score",),
        tuple(f"it ends as {place % 3}" for place in range(3 * count)),
        task="multiple-choice",
    )
    return examples, _float(scores), _float(scores + 0.7 * draw.normal(size=scores.shape))


def _vectors(draw: np.random.Generator, count: int) -> Answered:
    first, second = draw.normal(size=(2, count, 8))
    second = first + second * draw.uniform(0.2, 2.0, (count, 1))
    vectors = np.stack([first, second], axis=1).reshape(2 * count, 8)
    near = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1)
    near /= np.linalg.norm(second, axis=1)
    labels = np.repeat(np.round(5 * near + 0.3 * draw.normal(size=count), 1), 2)
    examples = Examples(
        _texts(draw, 2 * count),
        PairScores(labels, np.repeat(np.arange(count), 2)),
        ("score",),
        task="sentence-embedding",
    )
    return examples, _float(vectors), _float(vectors + 0.4 * draw.normal(size=vectors.shape))


def _float(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32)


_INTENTS = ("add_to_playlist", "book_restaurant", "get_weather", "play_music", "rate_book")
ANSWERED: dict[str, Callable[[np.random.Generator, int], Answered]] = {
    "text-classification": lambda draw, count: _classes(draw, count, ("negative", "positive")),
    "many labels": lambda draw, count: _classes(
        draw, count, tuple(f"{name}_{turn}" for turn in range(5) for name in _INTENTS)
    ),
    "multi-label": _label_sets,
    "regression": _scores,
    "token-classification": _tags,
    "question-answering": _spans,
    "multiple-choice": _choices,
    "sentence-embedding": _vectors,
    "fill-mask": lambda draw, count: _classes(
        draw, count, tuple(f"[w{i}]" for i in range(300)), "fill-mask"
    ),
}
"""By task, or by kind of labels where text classification has several."""
