"""Training classifiers that may give a text several labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import LabelSets
from benchmarks.tasks import get_measure
from compress.training.tasks.text_classification import collator, labelled

__all__ = ["FIGURES", "collator", "decided", "features", "figures"]

FIGURES = ("f1", "macro_f1", "accuracy")


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`."""
    rows = examples.labels.astype(np.float32).tolist()
    return labelled(examples, tokenizer, length, rows)


def decided(
    predictions: NDArray[np.float32], labels: NDArray[Any], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], Examples]:
    """See `compress.training.tasks.base`."""
    return predictions, Examples(
        ("",) * len(labels),
        LabelSets(labels.astype(np.int64)),
        names,
    )


def figures(logits: NDArray[np.float32], examples: Examples) -> dict[str, float]:
    """F1 over all labels, its mean over labels, and the share of texts with exactly theirs; in
    points."""
    from sklearn.metrics import f1_score

    predicted, true = logits > 0, examples.labels
    return {
        "f1": get_measure(examples).metric(logits, examples).value,
        "macro_f1": 100 * float(f1_score(true, predicted, average="macro", zero_division=0)),
        "accuracy": 100 * float((predicted == true).all(axis=1).mean()),
    }
