"""Measures on real text how much each head and neuron matters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.data.tokenized import TokenizedTexts
from compress.encoder.masks import EncoderMasks
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.decisions import decided
from compress.predictions.objective import objective_for
from compress.predictions.predict import (
    batches_by_length,
    evaluating,
    predict_logits,
)
from compress.system.progress import Progress

__all__ = [
    "Importance",
    "Losses",
    "divergence_importance",
    "fisher_importance",
    "frozen",
    "label_losses",
    "mask_importance",
    "teacher_losses",
]

Losses = Callable[[Tensor, NDArray[np.int64]], list[Tensor]]
"""From logits (m, C) of decisions and their places (m,) among all to scalars, which are sums over
the decisions."""


@dataclass(frozen=True)
class Importance:
    """Scores of a model of L layers; larger is more important.

    Attributes:
        heads: L arrays (heads of the layer,).
        neurons: L arrays (intermediate size of the layer,).
    """

    heads: tuple[NDArray[np.float64], ...]
    neurons: tuple[NDArray[np.float64], ...]


def fisher_importance(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    *,
    progress: Progress,
    batch_size: int = 64,
    seed: int = 0,
) -> Importance:
    """Score parts by the masks' diagonal Fisher information: summed squares of texts' gradients.

    To second order it is how much the loss rises when the part is removed. The loss is that to
    the labels (of classes, cross-entropy); a text without one gets a label drawn from what the
    model itself predicts (the true Fisher information). A loss to a teacher would not do here:
    where model and teacher agree it has no gradient at all.
    Kwon et al. 2022, https://arxiv.org/abs/2204.09656.

    Args:
        model: Left as it was.
        texts: About a thousand of the training texts.
        progress: Told of each batch.
        batch_size: Texts at once.
        seed: Of the drawn labels.
    """
    losses = label_losses(model, texts, seed=seed)
    return mask_importance(model, losses, texts, progress=progress, batch_size=batch_size)


def divergence_importance(
    model: LeanEncoderWithHead,
    teacher_logits: NDArray[np.float32],
    texts: TokenizedTexts,
    *,
    progress: Progress,
    classes: int = 4,
    batch_size: int = 64,
    seed: int = 0,
) -> Importance:
    """Score parts by squared mask gradients of the answers, expected over the teacher's classes.

    For a text with the teacher's chances p, a mask m scores

        sum_c p(c) (d log q(c) / dm)^2 = (d KL(p || q) / dm)^2 + Var_c~p(d log q(c) / dm)

    with q the model's chances. The first term is what K-prune squares (Park et al. 2024,
    https://arxiv.org/abs/2308.03449). It vanishes where model and teacher agree, as they do before
    anything is pruned; the second does not: there it is the curvature of the KL, which to second
    order is how much it rises when the part is removed (and the true Fisher information).

    Each text's gradient is its own. Where each word of it is decided about, those of the words get
    random signs before they are summed and squared, so that products of two cancel on average: the
    score is an unbiased estimate of the sum.

    Args:
        model: Left as it was.
        teacher_logits: (M, C) the teacher's answers to the texts, a row a decision.
        texts: Texts of M decisions, about a thousand; labels are not looked at.
        progress: Told of each batch.
        classes: The teacher's likeliest classes of each text that are looked at, a backward pass
            each. A class counts by its chance, so little is missed beyond the first few.
        batch_size: Texts at once.
        seed: Of the signs.

    Raises:
        ValueError: The teacher's answers are not one to a decision.
    """
    losses = teacher_losses(teacher_logits, texts, classes=classes, seed=seed)
    return mask_importance(model, losses, texts, progress=progress, batch_size=batch_size)


def label_losses(model: LeanEncoderWithHead, texts: TokenizedTexts, *, seed: int = 0) -> Losses:
    """Return the loss to the texts' labels, see `fisher_importance`."""
    labels, objective = torch.from_numpy(_labels(model, texts, seed)), objective_for(model.config)

    def losses(logits: Tensor, places: NDArray[np.int64]) -> list[Tensor]:
        return [len(places) * objective.hard(logits, labels[places].to(logits.device))]

    return losses


def teacher_losses(
    teacher_logits: NDArray[np.float32], texts: TokenizedTexts, *, classes: int = 4, seed: int = 0
) -> Losses:
    """Return the losses whose squares are expected over the teacher's classes.

    Arguments and errors as in `divergence_importance`.
    """
    if len(teacher_logits) != texts.decision_count:
        raise ValueError(
            f"the teacher gave {len(teacher_logits)} answers to {texts.decision_count} questions"
        )
    rng = np.random.default_rng(seed)
    # Part by part: of masked words, all chances at once would be gigabytes.
    parts = [
        part.double().softmax(dim=1).sqrt().sort(dim=1, descending=True)
        for part in torch.from_numpy(teacher_logits).split(256)
    ]
    roots = torch.cat([part.values[:, :classes] for part in parts])
    likeliest = torch.cat([part.indices[:, :classes] for part in parts])
    signs = torch.from_numpy(rng.choice([-1.0, 1.0], size=(len(roots), 1)))

    def losses(logits: Tensor, places: NDArray[np.int64]) -> list[Tensor]:
        factors = (signs[places] * roots[places]).to(logits)  # (m, classes)
        # A batch may be narrower than the whole: what is not in it has no chance.
        among = likeliest[places].clamp(max=logits.shape[1] - 1).to(logits.device)
        logs = logits.log_softmax(dim=1).gather(1, among)
        return list((factors * logs).sum(dim=0))

    return losses


def mask_importance(
    model: LeanEncoderWithHead,
    losses: Losses,
    texts: TokenizedTexts,
    *,
    progress: Progress,
    batch_size: int = 64,
) -> Importance:
    """Sum over texts and losses of squared mask gradients.

    Args:
        model: Left as it was.
        losses: What is to be kept.
        texts: N texts.
        batch_size: Texts in a batch; they are sorted by length.
        progress: Told of each batch.
    """
    layers, device = len(model.config.layers), next(model.parameters()).device
    sizes = model.config.layer_sizes
    parts = [layer.heads for layer in sizes] + [layer.intermediate_size for layer in sizes]
    sums = [torch.zeros(part, device=device) for part in parts]
    count = len(range(0, len(texts), batch_size))
    with (
        progress.track("measuring heads and neurons", count) as task,
        evaluating(model),
        frozen(model),  # only masks need gradients: half the work
    ):
        for members, inputs in batches_by_length(model, texts, batch_size):
            masks = EncoderMasks.ones(
                model.config, requires_grad=True, texts=len(members), device=device
            )
            tensors = [*masks.heads, *masks.neurons]
            own = decided(model(**inputs, masks=masks).logits.float(), texts, members)
            for loss in (scalars := losses(own, texts.decisions(members))):
                gradients = torch.autograd.grad(
                    loss, tensors, allow_unused=True, retain_graph=loss is not scalars[-1]
                )
                for position, gradient in enumerate(gradients):
                    if gradient is not None:
                        sums[position] += gradient.square().flatten(0, -2).sum(dim=0)
            task.advance()
    scores = [total.double().cpu().numpy() for total in sums]
    return Importance(heads=tuple(scores[:layers]), neurons=tuple(scores[layers:]))


@contextmanager
def frozen(model: LeanEncoderWithHead) -> Iterator[None]:
    """Within, no weight gets a gradient."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)


def _labels(model: LeanEncoderWithHead, texts: TokenizedTexts, seed: int) -> NDArray[Any]:
    """Return the texts' labels; where there is none, one that the model itself would give."""
    targets = texts.targets
    if targets is not None and not targets.missing().any():
        return targets.values
    rng = np.random.default_rng(seed)
    drawn: NDArray[Any] = objective_for(model.config).drawn(predict_logits(model, texts), rng)
    if targets is None or (unknown := targets.missing()).all():
        return drawn
    labels = targets.values.copy()
    labels[unknown] = drawn[unknown]
    return labels
