"""Finds the texts on which two models differ: what a reviewer asks for first."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "MOST_TEXTS",
    "Answer",
    "Difference",
    "Differences",
    "Item",
    "bounded",
    "compare",
    "excerpt",
]

MOST_TEXTS = 50
"""Texts that a report has, unless told otherwise."""

_MOST_CHARACTERS = 600


@dataclass(frozen=True)
class Item:
    """What was asked.

    Attributes:
        text: The text, the first sentence of a pair, a question or a prompt.
        label: The right answer, in words.
        pair: The second sentence, or the context.
        around: A place in `pair` that is to be shown, if not all of it is.
    """

    text: str
    label: str
    pair: str | None = None
    around: int = 0


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        text: In words.
        score: How sure it was, 0 to 1; None where answers have no such score.
        right: Whether it is the right one, or the better one of two where answers are numbers.
    """

    text: str
    score: float | None
    right: bool


@dataclass(frozen=True)
class Difference:
    """A text on which two models differ.

    Attributes:
        text: The text, the first sentence of a pair, a question or a prompt.
        pair: The second sentence, or the context (of a long one, the part around the answer).
        label: The right answer.
        reference: What the original says.
        reference_score: How sure it is, 0 to 1; None where answers have no score.
        answer: What the other model says.
        answer_score: How sure that is.
    """

    text: str
    pair: str | None
    label: str
    reference: str
    reference_score: float | None
    answer: str
    answer_score: float | None


@dataclass(frozen=True)
class Differences:
    """All that two models do not agree on.

    Attributes:
        items: Texts that both were asked.
        differing: Those on which they differ.
        reference_right: Of these, those on which the original alone is right.
        answer_right: Those on which the other one alone is.
        texts: Some of them, those first of which both are surest.
    """

    items: int
    differing: int
    reference_right: int
    answer_right: int
    texts: tuple[Difference, ...] = ()


def compare(
    items: Sequence[Item],
    reference: Sequence[Answer],
    answers: Sequence[Answer],
    *,
    apart: Sequence[float] | None = None,
) -> Differences:
    """Return where answers to the same N items differ, the most telling ones first.

    Args:
        items: What was asked.
        reference: What the original said.
        answers: What the other one said.
        apart: (N,) how far two answers are apart where they are numbers, 0 where that is nothing;
            by default they differ where their words do.
    """
    weights = apart
    if weights is None:
        weights = [
            0.0 if first.text == second.text else 1 + min(first.score or 0.0, second.score or 0.0)
            for first, second in zip(reference, answers, strict=True)
        ]
    chosen = sorted((i for i in range(len(items)) if weights[i]), key=lambda i: -weights[i])
    return Differences(
        items=len(items),
        differing=len(chosen),
        reference_right=sum(reference[i].right and not answers[i].right for i in chosen),
        answer_right=sum(answers[i].right and not reference[i].right for i in chosen),
        texts=tuple(
            Difference(
                text=excerpt(items[i].text),
                pair=None if (pair := items[i].pair) is None else excerpt(pair, items[i].around),
                label=items[i].label,
                reference=reference[i].text,
                reference_score=reference[i].score,
                answer=answers[i].text,
                answer_score=answers[i].score,
            )
            for i in chosen
        ),
    )


def bounded(found: Differences, most: int) -> Differences:
    """Return the same with at most so many texts."""
    return Differences(
        found.items, found.differing, found.reference_right, found.answer_right, found.texts[:most]
    )


def excerpt(text: str, around: int = 0) -> str:
    """Return a text, or of a long one a part of it.

    Args:
        text: Any.
        around: A place in it that is to be in the part.
    """
    if len(text) <= _MOST_CHARACTERS:
        return text
    start = max(0, min(around - _MOST_CHARACTERS // 3, len(text) - _MOST_CHARACTERS))
    end = start + _MOST_CHARACTERS
    before, after = "\u2026" * (start > 0), "\u2026" * (end < len(text))
    return f"{before}{text[start:end].strip()}{after}"
