"""Training models that find the answer to a question in a context."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.data.tokenized import tokenize
from compress.training.tasks.text_classification import collator

__all__ = ["FIGURES", "collator", "decided", "features", "figures"]

FIGURES = ("f1", "exact")


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`; a long context is several of them."""
    texts = tokenize(examples, tokenizer, length)
    assert texts.labels is not None  # questions have answers
    found = []
    for index, ids in enumerate(texts.ids):
        feature = {
            "input_ids": ids.tolist(),
            "attention_mask": [1] * len(ids),
            "labels": texts.labels[2 * index : 2 * index + 2].tolist(),
        }
        if texts.type_ids is not None:
            feature["token_type_ids"] = texts.type_ids[index].tolist()
        found.append(feature)
    return found


def decided(
    predictions: Any, labels: NDArray[Any], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], Examples]:
    """See `compress.training.tasks.base`: (N, 2, T), and where answers start and end in tokens."""
    start, end = predictions[0], predictions[1]
    return np.stack([start, end], axis=1), Examples(("",) * len(labels), ClassLabels(labels), names)


def figures(logits: NDArray[np.float32], examples: Examples) -> dict[str, float]:
    """Overlap of the tokens (F1) and the share of answers with exactly theirs, in points.

    What padding stands at is far below any other logit, or -100.
    """
    start = logits[:, 0].argmax(axis=1)
    # The best end from the start on.
    before = np.arange(logits.shape[2]) < start[:, None]
    end = np.where(before, -np.inf, logits[:, 1]).argmax(axis=1)
    true_start, true_end = examples.labels[:, 0], examples.labels[:, 1]
    common = np.minimum(end, true_end) - np.maximum(start, true_start) + 1
    of = (end - start + 1) + (true_end - true_start + 1)
    return {
        "f1": 100 * float((2 * np.maximum(common, 0) / of).mean()),
        "exact": 100 * float(((start == true_start) & (end == true_end)).mean()),
    }
