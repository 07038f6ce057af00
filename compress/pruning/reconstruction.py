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
from compress.system.device import full_precision
from compress.system.progress import Progress
from runtimes.base import MASKED

__all__ = [
    "DAMPING",
    "Repair",
    "Rows",
    "attention_inputs",
    "feed_forward_inputs",
    "projected",
    "refit",
    "refit_module",
    "repair_outputs",
    "stand_in",
]

# Relative squared error that is rounding: before the first change of a model nothing needs mending.
_NEGLIGIBLE = 1e-10

DAMPING = 0.1
"""How strongly refitted weights are pulled to those that are there, see `refit`."""


@dataclass(frozen=True)
class Rows:
    """Real tokens that a projection reads, and what it is to write.

    Attributes:
        inputs: (n, K).
        wanted: (n, H).
        fits: Whether they are fitted to; otherwise they judge the fit.
    """

    inputs: Tensor
    wanted: Tensor
    fits: bool


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
    joints_only: bool = False,
    damping: float = DAMPING,
    most_tokens: int = 40_000,
    batch_size: int = 128,
) -> Repair:
    """Refit `attention.output` and `feed_forward.down` of every layer of `pruned`, in place.

    Args:
        pruned: On the same device as `original`.
        original: The model before pruning; not modified.
        texts: Some hundred training texts; three quarters fit, one quarter judges.
        layer_map: By layer of `pruned`, the layer of `original` that it was.
        progress: Told of each projection.
        joints_only: Refit only the last projections before removed layers, and, where the first
            layers were removed, those of the layer that is first now.
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
                joint = (removed and not attends) or (index == 0 and origin)
                if joint or not joints_only:
                    rows = [stream.rows() for stream in streams]
                    outcomes.append(refit_module(module, rows, damping))
                for stream in streams:
                    stream.leave(
                        layer.attention_norm if attends else layer.feed_forward_norm, module
                    )
                task.advance(1, **({"error": outcomes[-1][2]} if outcomes else {}))
    return Repair(
        refitted=sum(kept for kept, _, _ in outcomes),
        total=len(outcomes),
        error_before=float(np.mean([before for _, before, _ in outcomes])) if outcomes else 0.0,
        error_after=float(np.mean([after for _, _, after in outcomes])) if outcomes else 0.0,
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
    missing = targets - products @ start
    factor, failed = torch.linalg.cholesky_ex(system)
    if failed:  # an input that is always 0 leaves nothing to divide by
        solution = start + torch.linalg.solve(system, missing)
    else:
        solution = start + torch.cholesky_solve(missing, factor)
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
        self._inputs = attention_inputs(layer, self._own, self._padding)
        after = self._target + target.attention(self._target, self._padding)[0]
        self._wanted = after - self._own  # makes up for earlier errors too
        self._target = target.attention_norm(after)

    def enter_feed_forward(self, layer: Any, target: Any, removed: Sequence[Any]) -> None:
        """Do the same for the feed-forward network, which stands in for the layers `removed`."""
        feed_forward, norm = layer.feed_forward, layer.feed_forward_norm
        self._inputs = feed_forward_inputs(layer, self._own)
        after = self._target + target.feed_forward(self._target)
        self._target = target.feed_forward_norm(after)
        if removed:
            for skipped in removed:
                self._target = skipped(self._target, self._padding)[0]
            after = stand_in(
                self._own + projected(feed_forward.down, self._inputs), self._target, norm
            )
        self._wanted = after - self._own

    def rows(self) -> Rows:
        """Return what the projection reads and should write."""
        real = self._real.bool()
        return Rows(self._inputs[real], self._wanted[real], self.fits)

    def leave(self, norm: Any, module: Any) -> None:
        """Go on to the next sublayer with the projection as it is now."""
        self._own = norm(self._own + projected(module, self._inputs))
        del self._inputs, self._wanted


def attention_inputs(layer: Any, hidden: Tensor, padding: Tensor | None) -> Tensor:
    """Return what a layer's `attention.output` reads, (B, T, heads * head_size)."""
    seen: list[Tensor] = []
    hook = layer.attention.output.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        layer.attention(hidden, padding)
    finally:
        hook.remove()
    return seen[0] if layer.attention.heads else hidden[..., :0]


def feed_forward_inputs(layer: Any, hidden: Tensor) -> Tensor:
    """Return what a layer's `feed_forward.down` reads, (B, T, I)."""
    up, activation = layer.feed_forward.up, layer.feed_forward.activation
    neurons: Tensor = hidden[..., :0] if up is None else activation(up(hidden))
    return neurons


def stand_in(before: Tensor, target: Tensor, norm: Any) -> Tensor:
    """Return what a LayerNorm would turn into `target`.

    It forgets scale and mean, so they are left as they are.

    Args:
        before: (..., H) what it reads now.
        target: (..., H) what it should write.
        norm: The LayerNorm.
    """
    scale, mean = before.std(dim=-1, keepdim=True), before.mean(dim=-1, keepdim=True)
    weight = torch.where(norm.weight.abs() < 1e-3, 1.0, norm.weight)  # a dead dimension
    return (target - norm.bias) / weight * scale + mean


def projected(module: Any, inputs: Tensor) -> Tensor:
    """Return (..., H) of a projection that may have lost all of its inputs."""
    weight = getattr(module, "weight", None)
    if weight is None:  # all inputs are pruned, the bias is left
        return module.bias.expand(*inputs.shape[:-1], -1)
    return nn.functional.linear(inputs, weight, module.bias)


def refit_module(
    module: Any, rows: Sequence[Rows], damping: float = DAMPING
) -> tuple[bool, float, float]:
    """Refit one projection; return whether it was kept, and the held-out errors around it.

    Args:
        module: Changed in place, where the fit is nearer on rows that it was not fitted to.
        rows: Of both kinds.
        damping: See `refit`.

    Raises:
        ValueError: There is nothing to fit to.
    """
    before = _held_out_error(module, rows)
    if before < _NEGLIGIBLE:
        return False, before, before
    products: Tensor | None = None
    targets: Tensor | None = None
    with full_precision(module.bias.device):
        for part in rows:
            if part.fits:
                inputs = nn.functional.pad(part.inputs.float(), (0, 1), value=1.0)
                # A batch is summed in float32, which is twice as fast; only the total needs more.
                product, target = (inputs.T @ inputs).double(), (inputs.T @ part.wanted).double()
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
    after = _held_out_error(module, rows)
    if after < before:  # also false when it is NaN
        return True, before, after
    if weight is not None:
        weight.data = old_weight
    module.bias.data = old_bias
    return False, before, before


def _held_out_error(module: Any, rows: Sequence[Rows]) -> float:
    """Return the squared error, relative to the wanted output's size, on text not fitted to."""
    error, size = 0.0, 0.0
    for part in rows:
        if not part.fits:
            error += float((projected(module, part.inputs) - part.wanted).square().sum())
            size += float(part.wanted.square().sum())
    return error / max(size, 1e-12)
