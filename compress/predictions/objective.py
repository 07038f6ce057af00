"""Measures how near answers are to a teacher's, or to the labels, by the kind of answer."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from compress.encoder.config import LeanEncoderConfig
from compress.predictions.losses import label_loss, soft_target_loss
from runtimes.registry import task_of_head

__all__ = ["Objective", "objective_for", "objective_of"]

_RELATED = 1024  # vectors whose cosines are compared at most: their number is squared


class Objective(Protocol):
    """Losses over m decisions of C outputs; every one is a scalar, a mean over decisions.

    Attributes:
        of_classes: Whether a decision is one of C classes.
    """

    of_classes: bool

    def soft(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return how far (m, C) of the student are from (m, C) of the teacher."""
        ...

    def hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return how far (m, C) are from the labels; a decision without one does not count."""
        ...

    def figures(self, logits: NDArray[np.float32], labels: NDArray[np.generic]) -> dict[str, float]:
        """Return what is shown while a student learns, in points."""
        ...

    def drawn(self, logits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.generic]:
        """Draw labels as the model itself would have them."""
        ...


def objective_for(config: LeanEncoderConfig) -> Objective:
    """Return what a lean encoder of this configuration is taught and compared by."""
    kind = "embedding" if task_of_head(config.head).SPEC.pooled else config.problem_type
    return objective_of(kind, config.outputs)


def objective_of(problem_type: str | None, outputs: int) -> Objective:
    """Return the objective of a Hugging Face problem type, or of `"embedding"`.

    None is guessed as Transformers does: one output is a score, several are classes.
    """
    if problem_type == "embedding":
        return _Vectors()
    if problem_type == "regression" or (problem_type is None and outputs == 1):
        return _Scores()
    return _Labels() if problem_type == "multi_label_classification" else _Classes()


class _Classes:
    """One of C classes: softmax and Kullback-Leibler divergence."""

    of_classes = True

    def soft(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        return soft_target_loss(student, teacher, temperature)

    def hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        return label_loss(logits, labels)

    def figures(self, logits: NDArray[np.float32], labels: NDArray[np.generic]) -> dict[str, float]:
        return {"accuracy": 100.0 * float((logits.argmax(axis=1) == labels).mean())}

    def drawn(self, logits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.generic]:
        exact = logits.astype(np.float64)
        chances = np.exp(exact - exact.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        below = chances.cumsum(axis=1) < rng.random((len(exact), 1))
        return below.sum(axis=1).clip(max=logits.shape[1] - 1)


class _Labels:
    """Any of C labels: a sigmoid and a divergence each, their sum."""

    of_classes = False

    def soft(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        own, given = teacher.float() / temperature, student.float() / temperature
        wanted = own.sigmoid()
        apart, least = (
            F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            for logits in (given, own)
        )
        return (apart - least).sum(dim=-1).mean() * temperature**2

    def hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        known = labels[:, 0] >= 0
        own = logits[known].float()
        total = F.binary_cross_entropy_with_logits(own, labels[known].float(), reduction="sum")
        return total / known.sum().clamp(min=1)

    def figures(self, logits: NDArray[np.float32], labels: NDArray[np.generic]) -> dict[str, float]:
        predicted, true = logits > 0, labels == 1
        of = predicted.sum() + true.sum()
        return {"f1": 100.0 * 2 * float((predicted & true).sum()) / max(1.0, float(of))}

    def drawn(self, logits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.generic]:
        chances = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return (rng.random(logits.shape) < chances).astype(np.int64)


class _Scores:
    """Regression: half the squared difference, which is the divergence of normal distributions of
    variance 1."""

    of_classes = False

    def soft(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:  # noqa: ARG002
        return 0.5 * (student.float() - teacher.float()).square().sum(dim=-1).mean()

    def hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        known = ~torch.isnan(labels)
        apart = logits[known, 0].float() - labels[known].float()
        return 0.5 * apart.square().sum() / known.sum().clamp(min=1)

    def figures(self, logits: NDArray[np.float32], labels: NDArray[np.generic]) -> dict[str, float]:
        own, true = logits[:, 0].astype(np.float64), labels.astype(np.float64)
        if len(own) < 2 or own.std() == 0 or true.std() == 0:
            return {"pearson": 0.0}
        return {"pearson": 100.0 * float(np.corrcoef(own, true)[0, 1])}

    def drawn(self, logits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.generic]:
        return logits[:, 0] + rng.normal(size=len(logits))


class _Vectors:
    """Sentence vectors: their direction, and how they stand to each other (cosines within a batch).

    Reimers & Gurevych 2020 (https://arxiv.org/abs/2004.09813) copy a teacher's vectors; relations
    are those of Park et al. 2019 (https://arxiv.org/abs/1904.05068), with cosines.
    """

    of_classes = False

    def soft(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:  # noqa: ARG002
        own, other = (F.normalize(vectors.float(), dim=-1) for vectors in (student, teacher))
        apart = (1 - (own * other).sum(dim=-1)).mean()
        own, other = own[:_RELATED], other[:_RELATED]
        return apart + (own @ own.T - other @ other.T).square().mean()

    def hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        wanted = labels.to(logits).float()
        scale = wanted.square().sum(dim=-1).mean().clamp(min=1e-12)
        return 0.5 * (logits.float() - wanted).square().sum(dim=-1).mean() / scale

    def figures(self, logits: NDArray[np.float32], labels: NDArray[np.generic]) -> dict[str, float]:  # noqa: ARG002
        return {}

    def drawn(self, logits: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.generic]:
        noise = rng.normal(size=logits.shape) * logits.std()
        return np.asarray(logits + noise, dtype=np.float32)
