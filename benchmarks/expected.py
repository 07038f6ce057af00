"""Estimates a model's drop with less noise than counting right and wrong answers.

Some hundred labels count a drop only roughly: two models that answer 6% of the texts differently
have a standard error of a whole point on 400 texts, and most of it is chance: the labels that
doubtful texts happen to carry. So each text's classes get probabilities first,

    p(class) = softmax(a * reference logits + b * model logits),

with a and b fitted to the labels (maximum likelihood), and the drop is the mean probability of the
reference's answer less that of the model's. A text that both doubt counts little, whatever its
label; one where the reference is sure and the model is wrong counts in full. The form is
that of a stacked classifier (Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1). That
it holds is an assumption, which measured drops do without: this is for choosing, not for
reporting (docs/adr/0005-choosing-by-the-expected-drop.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Drop

__all__ = ["ExpectedDrop", "as_measured", "expected_drop"]

FloatArray = NDArray[np.float64]

# Weight of the prior that pulls a and b to zero, against one text's weight of 1: it decides only
# where labels leave them open (all answers right, or both models the same).
_PRIOR = 0.01
_MOST_STEPS, _CONVERGED = 100, 1e-9
# Of more classes than this, as of a vocabulary, each model's likeliest and the true one are enough.
_MOST_CLASSES = 511
# A logit below this says that the text has no such class: a question's context no such token.
_NO_CLASS = -1e4


@dataclass(frozen=True)
class ExpectedDrop:
    """An estimate of the drop of accuracy on texts like those that were seen.

    Attributes:
        value: Points; positive is worse than the reference.
        standard_error: Points; of a sample of this size.
    """

    value: float
    standard_error: float


def as_measured(drop: Drop) -> ExpectedDrop:
    """Return the measured drop, and the spread of what other texts would have given."""
    return ExpectedDrop(drop.value, (drop.high - drop.low) / (2 * 1.96))


def expected_drop(
    reference_logits: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    most_classes: int = _MOST_CLASSES,
) -> ExpectedDrop:
    """Estimate the drop of a single-label classifier against its reference.

    Args:
        reference_logits: (N, C) the full-precision model's; below -10,000 for classes that a row
            does not have.
        logits: (N, C) those of the model in question, for the same texts.
        labels: (N,) true class indices.
        most_classes: Of more classes, each model's likeliest and the true one are looked at.

    Returns:
        The estimate; its standard error is the delta method's, the uncertainty of a and b included.

    Raises:
        ValueError: The three do not fit each other, or there are fewer than two texts.
    """
    shape = reference_logits.shape
    if len(shape) != 2 or logits.shape != shape or labels.shape != shape[:1] or shape[0] < 2:
        raise ValueError(
            f"needs (N, C) logits twice and (N,) labels, got {shape}, {logits.shape}, "
            f"{labels.shape}"
        )
    if shape[1] > most_classes:
        reference_logits, logits, labels = _likeliest(
            reference_logits, logits, labels, (most_classes - 1) // 2
        )
    possible = ~(reference_logits < _NO_CLASS)
    features = np.stack(
        [_standardised(reference_logits, possible), _standardised(logits, possible)], axis=-1
    )
    weights = _fitted(features, possible, labels)
    chances, centred = _moments(features, possible, weights)
    rows = np.arange(len(labels))
    ours, theirs = (np.where(possible, x, -np.inf).argmax(1) for x in (logits, reference_logits))
    losses = chances[rows, theirs] - chances[rows, ours]
    value = losses.mean()
    # How the mean moves with the weights, and how each label moves the weights.
    slopes = (
        chances[rows, theirs, None] * centred[rows, theirs]
        - chances[rows, ours, None] * centred[rows, ours]
    ).mean(axis=0)
    scores = centred[rows, labels]  # (N, 2)
    pull = np.linalg.solve(_curvature(chances, centred) / len(labels), slopes)
    influences = losses - value + scores @ pull
    error = influences.std() / np.sqrt(len(labels))
    return ExpectedDrop(value=100 * float(value), standard_error=100 * float(error))


def _likeliest(
    reference_logits: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    most: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return both (N, K) logits of the classes that have more than next to no chance, and (N,)
    labels among them; a class that is there twice is no class the second time."""
    columns = np.empty((len(labels), 1 + 2 * most), dtype=np.int64)
    for row, label in enumerate(labels):
        tops = (np.argpartition(own[row], -most)[-most:] for own in (reference_logits, logits))
        columns[row] = np.sort(np.concatenate([[label], *tops]))
    references, own = (np.take_along_axis(x, columns, axis=1) for x in (reference_logits, logits))
    references[:, 1:][columns[:, 1:] == columns[:, :-1]] = 2 * _NO_CLASS
    return references, own, (columns == labels[:, None]).argmax(axis=1)


def _standardised(logits: NDArray[np.float32], possible: NDArray[np.bool_]) -> FloatArray:
    """Return logits less each text's mean, of unit variance: the prior means the same anywhere.

    Classes that a text does not have are 0."""
    centred = np.nan_to_num(logits).astype(np.float64)  # an answer that is no number says nothing
    centred -= centred.mean(axis=1, keepdims=True, where=possible)
    spread = float(centred.std(where=possible))
    return np.where(possible, centred / spread if spread > 0 else centred, 0.0)


def _fitted(
    features: FloatArray, possible: NDArray[np.bool_], labels: NDArray[np.int64]
) -> FloatArray:
    """Return (2,) weights of most likelihood, by Newton's method with halved steps."""
    rows, weights = np.arange(len(labels)), np.zeros(features.shape[-1])

    def objective(at: FloatArray) -> float:
        logs = np.log(np.maximum(_softmax(features @ at, possible)[rows, labels], 1e-300))
        return float(logs.sum() - 0.5 * _PRIOR * at @ at)

    best = objective(weights)
    for _ in range(_MOST_STEPS):
        chances, centred = _moments(features, possible, weights)
        gradient = centred[rows, labels].sum(axis=0) - _PRIOR * weights
        step = np.linalg.solve(_curvature(chances, centred), gradient)
        while (reached := objective(weights + step)) < best and np.abs(step).max() > _CONVERGED:
            step = step / 2
        weights, gained, best = weights + step, reached - best, reached
        if gained < _CONVERGED:
            break
    return weights


def _moments(
    features: FloatArray, possible: NDArray[np.bool_], weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return chances (N, C), and features (N, C, 2) less their mean under their text's chances."""
    chances = _softmax(features @ weights, possible)
    return chances, features - (chances[..., None] * features).sum(axis=1, keepdims=True)


def _curvature(chances: FloatArray, centred: FloatArray) -> FloatArray:
    """Return the (2, 2) negative second derivative of the log posterior."""
    outer = np.einsum("nc,ncj,nck->jk", chances, centred, centred)
    return np.asarray(outer + _PRIOR * np.eye(centred.shape[-1]), dtype=np.float64)


def _softmax(logits: FloatArray, possible: NDArray[np.bool_]) -> FloatArray:
    logits = np.where(possible, logits, -np.inf)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)
