"""Defines the kinds of labels that texts have: a small class each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

__all__ = [
    "Choices",
    "ClassLabels",
    "Indices",
    "LabelSets",
    "Labels",
    "PairScores",
    "Scores",
    "Spans",
    "WordLabels",
    "spread",
]

Indices = Iterable[int] | NDArray[np.int64]
"""Places of texts."""


def spread(starts: NDArray[np.int64], indices: Indices) -> NDArray[np.int64]:
    """Return the places of all that is in the texts at `indices`.

    Args:
        starts: (N + 1,) where each text starts, and where the last one ends.
        indices: Of texts.
    """
    parts = [np.arange(starts[int(i)], starts[int(i) + 1]) for i in indices]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of N texts; as it stands here, one label a text.

    Attributes:
        values: (M, ...) the labels of M decisions, text after text.
    """

    values: NDArray[Any]

    NONE: ClassVar[float] = -1
    """The value of a label that is missing; losses ignore it."""

    PROBLEM_TYPE: ClassVar[str] = "single_label_classification"
    """The kind, as Hugging Face configs call it."""

    NAMES_OUTPUTS: ClassVar[bool] = True
    """True where a model has an output for each label's name."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """(N,) which texts belong together; None: none do."""
        return None

    def decisions(self, indices: Indices) -> NDArray[np.int64]:
        """Return which of the M decisions are those of the texts at `indices`."""
        return np.fromiter(indices, dtype=np.int64)

    def of(self, index: int) -> NDArray[Any]:
        """Return the labels of one text."""
        return self.values[self.decisions([index])]

    def take(self, indices: NDArray[np.int64]) -> "Self":
        """Return the labels of the texts at `indices`, in that order."""
        return replace(self, values=self.values[self.decisions(indices)])

    def missing(self) -> NDArray[np.bool_]:
        """Return (M,) where a label is missing."""
        return np.asarray(self.values == self.NONE)

    def unknown(self) -> "Self":
        """Return labels of the same texts, all of them missing."""
        return replace(self, values=np.full_like(self.values, self.NONE))

    def blank(self, count: int) -> "Self | None":
        """Return labels for `count` texts that have none; None where the kind cannot say so."""
        shape = (count, *self.values.shape[1:])
        return replace(self, values=np.full(shape, self.NONE, dtype=self.values.dtype))

    def followed_by(self, other: "Self") -> "Self":
        """Return these labels and then `other`'s, of the same kind."""
        return replace(self, values=np.concatenate([self.values, other.values]))

    def of_texts(self) -> "Labels":
        """Return what is known of each text alone, whatever it belongs to."""
        return self

    def strata(self, classes: int) -> NDArray[np.int64]:  # noqa: ARG002 - the same for all kinds
        """Return (N,) the stratum of each text, by which data are split."""
        return self.values

    def content(self) -> tuple[list[NDArray[Any]], list[str]]:
        """Return the arrays and the texts that tell these labels from others."""
        return [self.values], []


@dataclass(frozen=True, eq=False)
class ClassLabels(Labels):
    """One of C classes for each text: (N,) int64."""


@dataclass(frozen=True, eq=False)
class LabelSets(Labels):
    """Any of C labels for each text: (N, C) int64, 1 for those that it has."""

    PROBLEM_TYPE = "multi_label_classification"

    def missing(self) -> NDArray[np.bool_]:
        """Return (N,) where a text has no labels that are known."""
        return np.asarray(self.values[:, 0] == self.NONE)

    def strata(self, classes: int) -> NDArray[np.int64]:  # noqa: ARG002
        """Return (N,) the rarest label of each text."""
        frequency = self.values.sum(axis=0)
        rare = np.where(self.values == 1, frequency, np.iinfo(np.int64).max)
        return np.asarray(rare.argmin(axis=1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Scores(Labels):
    """A score for each text: (N,) float64, NaN where it is missing."""

    NONE = float("nan")
    PROBLEM_TYPE = "regression"

    def missing(self) -> NDArray[np.bool_]:
        """Return (N,) where a score is missing."""
        return np.asarray(np.isnan(self.values))

    def strata(self, classes: int) -> NDArray[np.int64]:  # noqa: ARG002
        """Return (N,) the tenth of the texts, by score, that each text is in."""
        ranks = np.argsort(np.argsort(self.values, kind="stable"), kind="stable")
        return np.asarray(10 * ranks // len(self), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class WordLabels(Labels):
    """One of C classes for each word: (M,) int64 of all words, text after text.

    Attributes:
        words: (N,) labelled words of each text. A text's words are what white space separates.
    """

    words: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(N + 1,) where each text's words start, and where the last one's end."""
        return np.concatenate([[0], np.cumsum(self.words)])

    def decisions(self, indices: Indices) -> NDArray[np.int64]:
        """Return which of all words are those of the texts at `indices`."""
        return spread(self.starts, indices)

    def take(self, indices: NDArray[np.int64]) -> "Self":
        """Return the labels of the texts at `indices`, in that order."""
        values = self.values[self.decisions(indices)]
        return replace(self, values=values, words=self.words[indices])

    def strata(self, classes: int) -> NDArray[np.int64]:
        """Return (N,) the rarest class of each text's words."""
        counts = np.bincount(self.values, minlength=classes)
        rarest = [min(self.of(i), key=lambda own: counts[own]) for i in range(len(self))]
        return np.array(rarest, dtype=np.int64)

    def content(self) -> tuple[list[NDArray[Any]], list[str]]:
        """Return the arrays and the texts that tell these labels from others."""
        return [self.values, self.words], []


@dataclass(frozen=True, eq=False)
class Spans(Labels):
    """Place of the answer to each question in its context.

    (N, 2) int64: where the first answer starts and ends, in characters; 0 and 0 where there is
    none.

    Attributes:
        answers: All texts that are right, of each question.
    """

    answers: Sequence[tuple[str, ...]]

    NAMES_OUTPUTS = False

    def take(self, indices: NDArray[np.int64]) -> "Self":
        """Return the labels of the questions at `indices`, in that order."""
        answers = [self.answers[i] for i in indices]
        return replace(self, values=self.values[indices], answers=tuple(answers))

    def strata(self, classes: int) -> NDArray[np.int64]:  # noqa: ARG002
        """Return (N,) zeros: questions are alike."""
        return np.zeros(len(self), dtype=np.int64)

    def content(self) -> tuple[list[NDArray[Any]], list[str]]:
        """Return the arrays and the texts that tell these labels from others."""
        return [self.values], [t for own in self.answers for t in (str(len(own)), *own)]


@dataclass(frozen=True, eq=False)
class Choices(Labels):
    """Right or wrong for each text and its pair, a prompt and a choice: (N,) float64, 1 or 0.

    Attributes:
        questions: (N,) which choices belong to one question.
    """

    questions: NDArray[np.int64]

    NONE = float("nan")

    @property
    def groups(self) -> NDArray[np.int64]:
        """(N,) which texts belong together."""
        return self.questions

    def take(self, indices: NDArray[np.int64]) -> "Self":
        """Return the labels of the texts at `indices`, in that order."""
        return replace(self, values=self.values[indices], questions=self.questions[indices])

    def missing(self) -> NDArray[np.bool_]:
        """Return (N,) where it is not known what is right."""
        return np.asarray(np.isnan(self.values))

    def of_texts(self) -> Labels:
        """Return what is right as scores."""
        return Scores(self.values)


@dataclass(frozen=True, eq=False)
class PairScores(Choices):
    """Similarity of two texts in meaning: (N,) float64, the pair's score at both of them.

    Attributes:
        questions: (N,) which two texts are a pair.
    """

    PROBLEM_TYPE = "regression"
    NAMES_OUTPUTS = False

    def of_texts(self) -> Labels:
        """Return no scores: one that belongs to two texts is none of either."""
        return Scores(np.full(len(self), np.nan))
