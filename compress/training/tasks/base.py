"""What a module in `compress/finetune/tasks/` provides."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples

__all__ = ["TrainingTask"]


class TrainingTask(Protocol):
    """Features, collation and figures of one task.

    Attributes:
        FIGURES: What is measured; the first picks the best weights unless another is asked for.
    """

    FIGURES: tuple[str, ...]

    def features(self, examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
        """Examples as the model takes them, with `labels`, each of its own length.

        Args:
            examples: N labelled texts.
            tokenizer: The model's.
            length: Tokens kept of a text.
        """
        ...

    def collator(self, tokenizer: Any) -> Any:
        """What puts features into padded batches."""
        ...

    def decided(
        self, predictions: NDArray[np.float32], labels: NDArray[np.int64], names: tuple[str, ...]
    ) -> tuple[NDArray[np.float32], Examples]:
        """A trainer's padded outputs as logits (M, C) of decisions and the labels they are for."""
        ...

    def figures(self, logits: NDArray[np.float32], examples: Examples) -> dict[str, float]:
        """The `FIGURES`, in points."""
        ...
