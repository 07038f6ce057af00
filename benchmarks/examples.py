"""The labelled text that accuracy and latency are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """N labelled texts of one split.

    Attributes:
        texts: N strings (the first sentence of a pair).
        labels: (N,) int64 class indices into `label_names`.
        label_names: The C class names, in the order of the model's outputs.
        pairs: N second sentences, or None for single-sentence tasks.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    pairs: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Examples":
        """The examples at `indices`, in that order."""
        return Examples(
            texts=tuple(self.texts[int(i)] for i in indices),
            labels=self.labels[np.asarray(indices, dtype=np.int64)],
            label_names=self.label_names,
            pairs=None if self.pairs is None else tuple(self.pairs[int(i)] for i in indices),
        )

    def inputs(self) -> list[str] | list[tuple[str, str]]:
        """What a model callable takes: strings, or (first, second) tuples."""
        if self.pairs is None:
            return list(self.texts)
        return list(zip(self.texts, self.pairs, strict=True))

    def characters(self) -> list[int]:
        """Characters of each input, both sentences of a pair together."""
        pairs = self.pairs or ("",) * len(self)
        return [len(text) + len(pair) for text, pair in zip(self.texts, pairs, strict=True)]
