"""Training of classifiers that may give a text several labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import LabelSets
from benchmarks.tasks import get_measure
from compress.training.tasks.text_classification import collator, features

__all__ = ["FIGURES", "collator", "features", "figures"]

FIGURES = ("f1", "macro_f1", "accuracy")


def figures(
    predictions: NDArray[np.float32], labels: NDArray[Any], names: tuple[str, ...]
) -> dict[str, float]:
    """Return F1 over all labels, its mean over labels, and the share of exact sets, in points."""
    from sklearn.metrics import f1_score

    decided, true = predictions > 0, labels.astype(np.int64)
    examples = Examples(("",) * len(true), LabelSets(true), names)
    return {
        "f1": get_measure(examples).metric(predictions, examples).value,
        "macro_f1": 100 * float(f1_score(true, decided, average="macro", zero_division=0)),
        "accuracy": 100 * float((decided == true).all(axis=1).mean()),
    }
