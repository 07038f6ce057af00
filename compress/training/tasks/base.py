"""The interface of a module in `compress/training/tasks/`."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from benchmarks.examples import Examples

__all__ = ["TrainingTask"]


class TrainingTask(Protocol):
    """Features, collation and figures of one task.

    Attributes:
        FIGURES: Names of the metrics; the first picks the best weights unless another is asked for.
    """

    FIGURES: tuple[str, ...]

    def features(self, examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
        """Return examples as the model takes them, with `labels`, each of its own length.

        Args:
            examples: N labelled texts.
            tokenizer: The model's.
            length: Tokens kept of a text.
        """
        ...

    def collator(self, tokenizer: Any) -> Any:
        """Return the function that puts features into padded batches."""
        ...

    def figures(
        self, predictions: Any, labels: NDArray[Any], names: tuple[str, ...]
    ) -> dict[str, float]:
        """Return the `FIGURES`, in points.

        Args:
            predictions: Outputs of a trainer for N features, padded to one length.
            labels: Their labels, as the collator put them together and padded.
            names: Names of the C classes.
        """
        ...
