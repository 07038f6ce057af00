"""Repairs a pruned model without training: output projections refitted by least squares.

Layer by layer, each output projection is refitted so that the residual stream after the sublayer
is again what it was before pruning; the last projection before a removed layer stands in for that
layer as well as it can (Kwon et al. 2022, https://arxiv.org/abs/2204.09656, tune masks
in this way; here it is the whole projection). The fit is damped towards the weights that are
there, and kept only where it is nearer on text that it was not fitted to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.data.tokenized import TokenizedTexts, collate
from compress.encoder.modules import LeanEncoderWithHead
from compress.system.progress import Progress
from runtimes.base import MASKED

__all__ = ["Repair", "refit", "repair_outputs"]

# Relative squared error that is rounding: before the first change of a model nothing needs mending.
_NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class Repair:
    """Outcome of a repair.

    Attributes:
        refitted: Projections whose refitted weights were kept.
        total: Projections there are.
        error_before: Mean over projections of the relative squared error on held-out text.
        error_after: The same after the repair.
    """

    refitted: int
    total: int
    error_before: float
    error_after: float


def repair_outputs(
    pruned: LeanEncoderWithHead,
    original: LeanEncoderWithHead,
    texts: TokenizedTexts,
    layer_map: Sequence[int],
    *,
    progress: Progress,
    damping: float = 0.1,
    most_tokens: int = 40_000,
    batch_size: int = 32,
) -> Repair:
    """Refit `attention.output` and `feed_forward.down` of every layer of `pruned`, in place.

    Args:
        pruned: On the same device as `original`.
        original: The model before pruning; not modified.
        texts: Some hundred training texts; three quarters fit, one quarter judges.
        layer_map: By layer of `pruned`, the layer of `original` that it was.
        progress: Told of each projection.
        damping: See `refit`.
        most_tokens: Texts beyond this many tokens are not used; bounds time and memory.
        batch_size: Texts at once.
    """
    device = next(pruned.parameters()).device
    pad = pruned.config.pad_token_id or 0
    within = np.flatnonzero(np.cumsum(texts.lengths) <= most_tokens)
    texts = texts.take(within if len(within) else [0])
    # Every fourth text of each length judges, so both parts look alike.
    order = np.argsort(texts.lengths, kind="stable")
    judges = np.arange(len(order)) % 4 == 3
    parts = [(order[~judges], True), (order[judges] if judges.any() else order, False)]
    # What was removed before the first layer that is left: that layer has to stand in for it.
    ahead = list(original.encoder.layers[: layer_map[0]])
    streams = [
        _Stream(
            pruned, original, collate(texts, part[i : i + batch_size], pad, device), ahead, fits
        )
        for part, fits in parts
        for i in range(0, len(part), batch_size)
    ]
    depth = len(original.config.layers)
    outcomes: list[tuple[bool, float, float]] = []
    with torch.no_grad(), progress.track("repairing projections", 2 * len(layer_map)) as task:
        for index, origin in enumerate(layer_map):
            layer: Any = pruned.encoder.layers[index]
            target: Any = original.encoder.layers[origin]
            until = layer_map[index + 1] if index + 1 < len(layer_map) else depth
            removed = [original.encoder.layers[i] for i in range(origin + 1, until)]
            for attends in (True, False):
                for stream in streams:
                    if attends:
                        stream.enter_attention(layer, target)
                    else:
                        stream.enter_feed_forward(layer, target, removed)
                module = layer.attention.output if attends else layer.feed_forward.down
                outcomes.append(_refit_module(module, streams, damping))
                for stream in streams:
                    stream.leave(
                        layer.attention_norm if attends else layer.feed_forward_norm, module
                    )
                task.advance(1, error=outcomes[-1][2])
    return Repair(
        refitted=sum(kept for kept, _, _ in outcomes),
        total=len(outcomes),
        error_before=float(np.mean([before for _, before, _ in outcomes])),
        error_after=float(np.mean([after for _, _, after in outcomes])),
    )


def refit(
    products: Tensor, targets: Tensor, weight: Tensor, bias: Tensor, damping: float
) -> tuple[Tensor, Tensor]:
    """Minimise |[X 1] [W b]^T - Y|^2 + damping s |W - weight|^2.

    s is the mean diagonal entry of X^T X, so that `damping` has no unit.

    Args:
        products: (K + 1, K + 1) float64, [X 1]^T [X 1] for inputs X (N, K).
        targets: (K + 1, H) float64, [X 1]^T Y for targets Y (N, H).
        weight: (H, K).
        bias: (H,).
        damping: At least 0.

    Returns:
        Weight (H, K) and bias (H,), float32.
    """
    start = torch.cat([weight.double().T, bias.double()[None]])  # (K + 1, H)
    inputs = products.shape[0] - 1
    scale = products.diagonal()[:inputs].mean() if inputs else products.new_zeros(())
    ridge = torch.full_like(products.diagonal(), float(damping * scale))
    ridge[-1] = 0.0  # the bias is free
    system = products + torch.diag(ridge + 1e-9 * float(scale))
    solution = start + torch.linalg.solve(system, targets - products @ start)
    return solution[:-1].T.float().contiguous(), solution[-1].float()


class _Stream:
    """One batch on its way through both models, sublayer by sublayer."""

    def __init__(
        self,
        pruned: LeanEncoderWithHead,
        original: LeanEncoderWithHead,
        batch: dict[str, Tensor],
        ahead: Sequence[Any],
        fits: bool,
    ) -> None:
        self.fits = fits
        ids, types = batch["input_ids"], batch.get("token_type_ids")
        mask = batch.get("attention_mask")
        self._real = torch.ones_like(ids) if mask is None else mask
        self._padding = None if mask is None else (1.0 - mask[:, None, None].float()) * MASKED
        with torch.no_grad():
            self._own = pruned.encoder.embeddings(ids, types)
            self._target = original.encoder.embeddings(ids, types)
            for layer in ahead:
                self._target = layer(self._target, self._padding)[0]

    def enter_attention(self, layer: Any, target: Any) -> None:
        """Compute what the attention's projection reads, and what it should write."""
        self._inputs = self._attended(layer)
        after = self._target + target.attention(self._target, self._padding)[0]
        self._wanted = after - self._own  # makes up for earlier errors too
        self._target = target.attention_norm(after)

    def enter_feed_forward(self, layer: Any, target: Any, removed: Sequence[Any]) -> None:
        """Do the same for the feed-forward network, which stands in for the layers `removed`."""
        feed_forward, norm = layer.feed_forward, layer.feed_forward_norm
        self._inputs = (
            self._own[..., :0]
            if feed_forward.up is None
            else feed_forward.activation(feed_forward.up(self._own))
        )
        after = self._target + target.feed_forward(self._target)
        self._target = target.feed_forward_norm(after)
        if removed:
            for skipped in removed:
                self._target = skipped(self._target, self._padding)[0]
            # What this layer's normalisation would turn into that; it forgets scale and mean, so
            # they are left as they are.
            before = self._own + _projected(feed_forward.down, self._inputs)
            scale, mean = before.std(dim=-1, keepdim=True), before.mean(dim=-1, keepdim=True)
            weight = torch.where(norm.weight.abs() < 1e-3, 1.0, norm.weight)  # a dead dimension
            after = (self._target - norm.bias) / weight * scale + mean
        self._wanted = after - self._own

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return inputs (n, K) and wanted outputs (n, H) of the real tokens."""
        real = self._real.bool()
        return self._inputs[real], self._wanted[real]

    def leave(self, norm: Any, module: Any) -> None:
        """Go on to the next sublayer with the projection as it is now."""
        self._own = norm(self._own + _projected(module, self._inputs))
        del self._inputs, self._wanted

    def _attended(self, layer: Any) -> Tensor:
        """Return what the attention's output projection reads, (B, T, heads * head_size)."""
        seen: list[Tensor] = []
        hook = layer.attention.output.register_forward_pre_hook(
            lambda _, args: seen.append(args[0])
        )
        try:
            layer.attention(self._own, self._padding)
        finally:
            hook.remove()
        return seen[0] if layer.attention.heads else self._own[..., :0]


def _projected(module: Any, inputs: Tensor) -> Tensor:
    weight = getattr(module, "weight", None)
    if weight is None:  # all inputs are pruned, the bias is left
        return module.bias.expand(*inputs.shape[:-1], -1)
    return nn.functional.linear(inputs, weight, module.bias)


def _refit_module(
    module: Any, streams: Sequence[_Stream], damping: float
) -> tuple[bool, float, float]:
    """Refit one projection; return whether it was kept, and the held-out errors around it."""
    before = _held_out_error(module, streams)
    if before < _NEGLIGIBLE:
        return False, before, before
    products: Tensor | None = None
    targets: Tensor | None = None
    for stream in streams:
        if stream.fits:
            inputs, wanted = stream.rows()
            inputs = nn.functional.pad(inputs, (0, 1), value=1.0)
            # A batch is summed in float32, which is twice as fast; only the total needs more.
            product, target = (inputs.T @ inputs).double(), (inputs.T @ wanted).double()
            products = product if products is None else products + product
            targets = target if targets is None else targets + target
    if products is None or targets is None:
        raise ValueError("there is no text to refit projections on")
    weight = getattr(module, "weight", None)
    old_weight = products.new_zeros(targets.shape[1], 0) if weight is None else weight.data
    old_bias = module.bias.data
    new_weight, new_bias = refit(products, targets, old_weight, old_bias, damping)
    if weight is not None:
        weight.data = new_weight
    module.bias.data = new_bias
    after = _held_out_error(module, streams)
    if after < before:  # also false when it is NaN
        return True, before, after
    if weight is not None:
        weight.data = old_weight
    module.bias.data = old_bias
    return False, before, before


def _held_out_error(module: Any, streams: Sequence[_Stream]) -> float:
    """Return the squared error, relative to the wanted output's size, on text not fitted to."""
    error, size = 0.0, 0.0
    for stream in streams:
        if not stream.fits:
            inputs, wanted = stream.rows()
            error += float((_projected(module, inputs) - wanted).square().sum())
            size += float(wanted.square().sum())
    return error / max(size, 1e-12)
