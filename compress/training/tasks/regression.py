"""Training models that give a text a score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import Scores
from compress.training.tasks.text_classification import collator, labelled

__all__ = ["FIGURES", "collator", "decided", "features", "figures"]

FIGURES = ("pearson", "spearman")


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`."""
    return labelled(examples, tokenizer, length, [float(label) for label in examples.labels])


def decided(
    predictions: NDArray[np.float32], labels: NDArray[Any], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], Examples]:
    """See `compress.training.tasks.base`."""
    return predictions, Examples(("",) * len(labels), Scores(labels.astype(np.float64)), names)


def figures(logits: NDArray[np.float32], examples: Examples) -> dict[str, float]:
    """Pearson's and Spearman's correlation, in points; 0 where nothing varies."""
    from scipy.stats import pearsonr, spearmanr

    own, true = logits[:, 0].astype(np.float64), examples.labels
    if np.ptp(own) == 0 or np.ptp(true) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": 100 * float(pearsonr(own, true).statistic),
        "spearman": 100 * float(spearmanr(own, true).statistic),
    }
