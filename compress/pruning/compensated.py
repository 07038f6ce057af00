"""Scores heads and neurons by what is lost where those that stay make up for those that go.

Masks' gradients (`compress.pruning.importance`) say what removing a part costs if nothing else
changes. But what is left is refitted afterwards, and a part whose work others can do costs next to
nothing. So parts are removed here one group after the other, the least important first, and the
projection of the others is corrected each time as the Optimal Brain Surgeon does (Hassibi and
Stork 1992), in groups of inputs, as ZipLM (Kurtic et al. 2023, https://arxiv.org/abs/2302.04089).
How much an error of a projection matters is told by the Fisher information in Kronecker factors
(Martens and Grosse 2015, https://arxiv.org/abs/1503.05671): with inputs a and loss gradients g of
its outputs, a change D of its matrix costs about tr(E[g g^T] D E[a a^T] D^T) a token. In that all
sublayers are measured alike, so that their losses compare.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.decisions import decided
from compress.predictions.predict import batches_by_length, evaluating
from compress.pruning.importance import Importance, Losses, frozen
from compress.system.device import full_precision
from compress.system.progress import Progress

__all__ = ["compensated_importance"]

# Added to the inputs' mean square, as a share of it: what no text tells apart costs little to be
# without, not nothing.
_DAMPING = 0.01
# Groups that a sublayer's parts are removed in, at most.
_GROUPS = 64
# The next of a group are among so many times as many that cost least before it.
_NEAR = 3


def compensated_importance(
    model: LeanEncoderWithHead,
    losses: Losses,
    texts: TokenizedTexts,
    *,
    neuron_step: int,
    progress: Progress,
    batch_size: int = 32,
) -> Importance:
    """Score parts by what their removal costs when the parts that stay are refitted.

    A score is what the loss rises by, to second order and summed over the texts, when the part goes
    after all that score less in its sublayer: sums of the lowest are what a smaller size loses.

    Args:
        model: Left as it was.
        losses: What is to be kept, `compress.pruning.importance.label_losses` or `teacher_losses`.
        texts: Some hundred training texts, those that `losses` is of.
        neuron_step: Neurons of a group, in which those that go are told; of wide networks more.
        progress: Told of each batch.
        batch_size: Texts at once.
    """
    moments = _moments(model, losses, texts, batch_size, progress)
    heads, neurons = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    layers: Any = model.encoder.layers
    for sizes, layer in zip(model.config.layer_sizes, layers, strict=True):
        for found, module, unit, step in (
            (heads, layer.attention.output, sizes.head_size, 1),
            (neurons, layer.feed_forward.down, 1, neuron_step),
        ):
            own = moments.get(module)
            if own is None:
                found.append(np.zeros(0))
                continue
            group = max(step, len(own.total) // unit // _GROUPS)
            found.append(_removed(own, module.weight, unit, group))
    return Importance(heads=tuple(heads), neurons=tuple(neurons))


@dataclass
class _Moments:
    """What a projection with K inputs and H outputs meets in n tokens.

    Attributes:
        count: n.
        total: (K,) sum of inputs a.
        inputs: (K, K) sum of a a^T.
        gradients: (H, H) sum of g g^T, of every loss.
        weight: Sum of |g|^2 |a|^2: where the loss looks at some tokens alone, theirs count.
    """

    count: int
    total: Tensor
    inputs: Tensor
    gradients: Tensor
    weight: float

    @classmethod
    def none(cls, projection: nn.Linear) -> "_Moments":
        new = projection.weight.new_zeros
        wide, narrow = projection.in_features, projection.out_features
        return cls(0, new(wide), new(wide, wide), new(narrow, narrow), 0.0)

    def add(self, inputs: Tensor, gradients: list[Tensor]) -> None:
        """Take n inputs (n, K), and of each loss the gradients of the outputs (n, H)."""
        self.count += len(inputs)
        self.total += inputs.sum(dim=0)
        self.inputs += inputs.T @ inputs
        for own in gradients:
            self.gradients += own.T @ own
        squares = torch.stack([own.square().sum(dim=1) for own in gradients]).sum(dim=0)
        self.weight += float(squares @ inputs.square().sum(dim=1))


def _moments(
    model: LeanEncoderWithHead,
    losses: Losses,
    texts: TokenizedTexts,
    batch_size: int,
    progress: Progress,
) -> dict[nn.Module, _Moments]:
    """Return the moments of all projections that have inputs."""
    layers: Any = model.encoder.layers
    projections = [
        module
        for layer in layers
        for module in (layer.attention.output, layer.feed_forward.down)
        if getattr(module, "weight", None) is not None
    ]
    found = {module: _Moments.none(module) for module in projections}
    count = len(range(0, len(texts), batch_size))
    with (
        progress.track("measuring heads and neurons", count) as task,
        evaluating(model),
        _watched(model, projections) as seen,
    ):
        for members, batch in batches_by_length(model, texts, batch_size):
            answers = decided(model(**batch).logits.float(), texts, members)
            scalars = losses(answers, texts.decisions(members))
            outputs = [seen[module][1] for module in projections]
            gradients = [
                torch.autograd.grad(
                    loss, outputs, retain_graph=loss is not scalars[-1], allow_unused=True
                )
                for loss in scalars
            ]
            real = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
            for place, module in enumerate(projections):
                inputs, output = seen[module]
                here = real[:, : output.shape[1]]  # of the last layer maybe the first token alone
                own = [
                    torch.zeros_like(output) if one[place] is None else one[place]
                    for one in gradients
                ]
                with full_precision(here.device):
                    kept = module.weight.dtype
                    found[module].add(
                        inputs.detach()[here].to(kept), [each[here].to(kept) for each in own]
                    )
            task.advance()
    return found


@contextmanager
def _watched(
    model: LeanEncoderWithHead, projections: list[nn.Linear]
) -> Iterator[dict[nn.Module, tuple[Tensor, Tensor]]]:
    """Within, keep the last inputs and outputs of modules, which gradients reach."""
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[module] = inputs[0], output

    hooks = [module.register_forward_hook(keep) for module in projections]
    hooks.append(
        model.encoder.embeddings.register_forward_hook(lambda *given: given[2].requires_grad_())
    )
    try:
        with frozen(model):
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _removed(moments: _Moments, weight: Tensor, unit: int, step: int) -> NDArray[np.float64]:
    """Return what each part costs, (K / unit,), when parts go by `step`, the cheapest first.

    Args:
        moments: Of the projection.
        weight: (H, K) its matrix.
        unit: Inputs of a part, side by side.
        step: Parts that go at once.
    """
    inputs, gradients = moments.inputs.double(), moments.gradients.double()
    mean = moments.total.double() / max(1, moments.count)
    scale = moments.weight / max(float(inputs.trace() * gradients.trace()), 1e-300)
    inputs = inputs - moments.count * torch.outer(mean, mean)  # the bias, too, is refitted
    ridge = _DAMPING * inputs.diagonal().mean() + 1e-30
    inverse = torch.cholesky_inverse(
        torch.linalg.cholesky(inputs + ridge * torch.eye(len(inputs), device=inputs.device))
    )
    # With a root of the gradients' matrix what an error costs is a plain square.
    powers, axes = torch.linalg.eigh(gradients)
    seen = (axes * powers.clamp(min=0).sqrt()).T @ weight.detach().double()  # (H, K)
    parts = torch.arange(len(inputs) // unit, device=inputs.device)  # of the matrices' columns
    gone = torch.zeros(len(parts), dtype=torch.bool, device=inputs.device)
    scores, highest, ranks = np.zeros(len(parts)), 0.0, np.arange(len(parts))
    while not gone.all():
        if 2 * int(gone.sum()) > len(gone):  # what is gone is carried along: moving it takes longer
            stay = _columns((~gone).nonzero().flatten(), unit)
            inverse = inverse.index_select(0, stay).index_select(1, stay)
            seen, parts, gone = seen[:, stay], parts[~gone], gone[~gone]
        # Two that stand in for each other must not go at once, so of a group of the cheapest each
        # goes by itself; the others are told of all of them together.
        costs = _costs(seen, inverse, unit).masked_fill(gone, torch.inf)
        near = costs.argsort()[: min(_NEAR * step, int((~gone).sum()))]
        columns = _columns(near, unit)
        order, own = _one_by_one(
            seen[:, columns], inverse[columns[:, None], columns], unit, min(step, len(near))
        )
        order = near[order]
        # What goes later costs no less: sums of the lowest scores are what a size loses.
        rising = np.maximum.accumulate(np.maximum(own.cpu().numpy() * scale, highest))
        # Nor may a tie be told by a part's place: a hair more for each that went before.
        before, ranks = ranks[: len(rising)], ranks[len(rising) :]
        scores[parts[order].cpu().numpy()], highest = rising * (1 + 1e-9 * before), rising[-1]
        _without(seen, inverse, _columns(order, unit))
        gone[order] = True
    return scores


def _costs(seen: Tensor, inverse: Tensor, unit: int) -> Tensor:
    """Return (n,) what each of n parts costs, the others refitted.

    Args:
        seen: (H, n unit) the matrix, so that errors are plain squares.
        inverse: (n unit, n unit) of the inputs' moments.
        unit: Inputs of a part.
    """
    if unit == 1:
        return seen.square().sum(dim=0) / inverse.diagonal()
    count = inverse.shape[0] // unit
    here = torch.arange(count, device=seen.device)
    own = seen.reshape(len(seen), count, unit)
    squares = torch.einsum("hnu,hnv->nuv", own, own)
    blocks = inverse.reshape(count, unit, count, unit)[here, :, here]  # (n, unit, unit)
    return torch.linalg.solve(blocks, squares).diagonal(dim1=1, dim2=2).sum(dim=1)


def _one_by_one(seen: Tensor, inverse: Tensor, unit: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the parts that go first of a few, in order, and what each costs after the others."""
    order, costs = list[Tensor](), list[Tensor]()
    for _ in range(count):
        own = _costs(seen, inverse, unit)
        if order:
            own[torch.stack(order)] = torch.inf
        order.append(own.argmin())
        costs.append(own[order[-1]])
        if len(order) < count:
            _without(seen, inverse, _columns(order[-1][None], unit))
    return torch.stack(order), torch.stack(costs)


def _without(seen: Tensor, inverse: Tensor, columns: Tensor) -> None:
    """Take inputs away, in place: the others make up for them, and they are inert."""
    undone = torch.linalg.inv(inverse[columns[:, None], columns])
    rows = inverse[columns]
    shift = undone @ rows
    seen.addmm_(seen[:, columns], shift, alpha=-1)
    inverse.addmm_(rows.T, shift, alpha=-1)
    seen[:, columns] = 0.0
    inverse[columns], inverse[:, columns] = 0.0, 0.0
    inverse[columns, columns] = 1.0


def _columns(parts: Tensor, unit: int) -> Tensor:
    """Return the columns of parts of so many each."""
    return (parts[:, None] * unit + torch.arange(unit, device=parts.device)).flatten()
