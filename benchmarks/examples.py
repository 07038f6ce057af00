"""The labelled text that accuracy and latency are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtimes.registry import DEFAULT_TASK

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """N labelled texts of one split.

    Attributes:
        texts: N strings (the first sentence of a pair).
        labels: (N,) int64 class indices into `label_names`; where every word has a label, (M,) of
            all words, text after text; of several labels a text (N, C) int64, 1 for those it has;
            of regression (N,) float64; of answers (N, 2) int64, where the first one starts and
            ends in its context, in characters (0 and 0: there is none).
        label_names: The C class names, in the order of the model's outputs.
        pairs: N second sentences, or None for single-sentence tasks.
        words: (N,) labelled words of each text, where every word has a label. A text's words are
            what white space separates.
        task: What the labels are for, by its name in `runtimes.tasks`.
        problem_type: What kind of labels they are, as in Hugging Face configs.
        answers: Of questions (whose contexts are the pairs), all texts that are right.
        questions: (N,) which texts belong together. Of multiple choice a text and its pair are a
            prompt and one of its choices, with the label 1.0 for the right one; of sentence
            embedding two texts are a pair, both with the pair's score as their label.
    """

    texts: tuple[str, ...]
    labels: NDArray[Any]
    label_names: tuple[str, ...]
    pairs: tuple[str, ...] | None = None
    words: NDArray[np.int64] | None = None
    task: str = DEFAULT_TASK
    problem_type: str = "single_label_classification"
    answers: tuple[tuple[str, ...], ...] | None = None
    questions: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(N + 1,) where each text's labels start, and where the last one's end."""
        if self.words is None:
            return np.arange(len(self) + 1)
        return np.concatenate([[0], np.cumsum(self.words)])

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Examples":
        """The examples at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Examples(
            texts=tuple(self.texts[i] for i in chosen),
            labels=self.labels[chosen] if self.words is None else self.labels[self._spread(chosen)],
            label_names=self.label_names,
            pairs=None if self.pairs is None else tuple(self.pairs[i] for i in chosen),
            words=None if self.words is None else self.words[chosen],
            task=self.task,
            problem_type=self.problem_type,
            answers=None if self.answers is None else tuple(self.answers[i] for i in chosen),
            questions=None if self.questions is None else self.questions[chosen],
        )

    def labels_of(self, index: int) -> NDArray[Any]:
        """The labels of one text: one, or one a word."""
        return self.labels[self.starts[index] : self.starts[index + 1]]

    def inputs(self) -> list[str] | list[tuple[str, str]]:
        """What a model callable takes: strings, or (first, second) tuples."""
        if self.pairs is None:
            return list(self.texts)
        return list(zip(self.texts, self.pairs, strict=True))

    def characters(self) -> list[int]:
        """Characters of each input, both sentences of a pair together."""
        pairs = self.pairs or ("",) * len(self)
        return [len(text) + len(pair) for text, pair in zip(self.texts, pairs, strict=True)]

    def _spread(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the texts' labels."""
        parts = [np.arange(self.starts[i], self.starts[i + 1]) for i in indices]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
