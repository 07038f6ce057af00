"""Holds the labelled text that accuracy and latency are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.labels import Labels
from runtimes.tasks import DEFAULT_TASK

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """N texts of one split, with labels that people gave, or the original model is to give.

    Attributes:
        texts: N strings (the first sentence of a pair).
        targets: Their labels; missing ones where `labelled` is false, until the original model has
            been asked (`benchmarks.tasks.answered`).
        label_names: The C class names, in the order of the model's outputs.
        pairs: N second sentences, or None for single-sentence tasks. Of question answering, texts
            are questions and pairs contexts; of multiple choice, prompts and choices.
        task: What the labels are for, by its name in `runtimes.tasks`.
        labelled: Whether people labelled them. Where they did not, the original model's answers are
            the labels, and what is measured is agreement with it.
    """

    texts: tuple[str, ...]
    targets: Labels
    label_names: tuple[str, ...]
    pairs: tuple[str, ...] | None = None
    task: str = DEFAULT_TASK
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labels(self) -> NDArray[Any]:
        """(M, ...) labels of all decisions, see `benchmarks.labels`."""
        return self.targets.values

    @property
    def problem_type(self) -> str:
        """The kind of labels, as Hugging Face configs call it."""
        return self.targets.PROBLEM_TYPE

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the model's outputs; none where these are places, vectors or tokens."""
        return self.label_names if self.targets.NAMES_OUTPUTS else ()

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Examples":
        """Return the examples at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            texts=tuple(self.texts[i] for i in chosen),
            targets=self.targets.take(chosen),
            pairs=None if self.pairs is None else tuple(self.pairs[i] for i in chosen),
        )

    def inputs(self) -> list[str] | list[tuple[str, str]]:
        """Return what a model callable takes: strings, or (first, second) tuples."""
        if self.pairs is None:
            return list(self.texts)
        return list(zip(self.texts, self.pairs, strict=True))

    def characters(self) -> list[int]:
        """Return the characters of each input, both sentences of a pair together."""
        pairs = self.pairs or ("",) * len(self)
        return [len(text) + len(pair) for text, pair in zip(self.texts, pairs, strict=True)]
