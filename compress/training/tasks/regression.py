"""Training of models that give a text a score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.training.tasks.text_classification import collator, features

__all__ = ["FIGURES", "collator", "features", "figures"]

FIGURES = ("pearson", "spearman")


def figures(
    predictions: NDArray[np.float32],
    labels: NDArray[Any],
    names: tuple[str, ...],  # noqa: ARG001 - the interface's
) -> dict[str, float]:
    """Return Pearson's and Spearman's correlation, in points; 0 where nothing varies."""
    from scipy.stats import pearsonr, spearmanr

    own, true = predictions[:, 0].astype(np.float64), labels.astype(np.float64)
    if np.ptp(own) == 0 or np.ptp(true) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": 100 * float(pearsonr(own, true).statistic),
        "spearman": 100 * float(spearmanr(own, true).statistic),
    }
