"""Training of models that find the answer to a question in a context."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.data.tokenized import tokenize
from compress.training.tasks.text_classification import collator, from_tokens

__all__ = ["FIGURES", "collator", "features", "figures"]

FIGURES = ("f1", "exact")


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """Return one feature per window of a context (`compress.training.tasks.base`)."""
    texts = tokenize(examples, tokenizer, length)
    assert texts.labels is not None  # questions have answers
    return from_tokens(texts, texts.labels.reshape(-1, 2).tolist())


def figures(
    predictions: Any,
    labels: NDArray[Any],
    names: tuple[str, ...],  # noqa: ARG001 - the interface's
) -> dict[str, float]:
    """Return the overlap of tokens (F1) and the share of exact answers, in points.

    Logits of padding are far below any other, or -100.

    Args:
        predictions: Logits of start and of end, each (N, T).
        labels: (N, 2) tokens at which answers start and end.
        names: Not used.
    """
    start = predictions[0].argmax(axis=1)
    # The best end from the start on.
    before = np.arange(predictions[1].shape[1]) < start[:, None]
    end = np.where(before, -np.inf, predictions[1]).argmax(axis=1)
    true_start, true_end = labels[:, 0], labels[:, 1]
    common = np.minimum(end, true_end) - np.maximum(start, true_start) + 1
    of = (end - start + 1) + (true_end - true_start + 1)
    return {
        "f1": 100 * float((2 * np.maximum(common, 0) / of).mean()),
        "exact": 100 * float(((start == true_start) & (end == true_end)).mean()),
    }
