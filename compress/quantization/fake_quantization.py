"""Fake quantization: PyTorch multiplies as the deployed INT8 graph will, and can learn to cope.

The arithmetic is that of ONNX Runtime's file as the exporter writes it: activations in 8 bits
unsigned with one scale and zero point, of a text's own range (dynamic; a request is one text) or of
the plan's (static); weights in 8 bits signed with one scale an output channel; word embeddings with
one scale a word. Gradients pass straight through the rounding (Bengio et al. 2013,
https://arxiv.org/abs/1308.3432; Jacob et al. 2018, https://arxiv.org/abs/1712.05877).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.encoder.modules import LeanEncoderWithHead
from compress.quantization.interception import LinearCall, intercepted_linears, linear_layers
from export.quantization import QuantizationPlan, activation_scale

__all__ = [
    "fake_quantized",
    "linear_layers",
    "quantize_activations",
    "quantize_weights",
    "weight_scale",
]

# Smallest scale: a row of zeros has no range of its own.
_TINY = 1e-12


def quantize_activations(
    x: Tensor, mask: Tensor | None = None, limits: tuple[float, float] | None = None
) -> Tensor:
    """Round activations to 256 levels, zero among them.

    Args:
        x: (B, T, K).
        mask: (B, T), false for padding, which has no part in the range; None when there is none.
        limits: Lowest and highest value of a static range, outside of which values are clipped;
            None takes each text's own.

    Returns:
        (B, T, K), the value that the rounded integers stand for; the gradient is the identity, and
        0 where a static range clipped a value.
    """
    if limits is not None:
        step, zero = activation_scale(*limits)
        return torch.fake_quantize_per_tensor_affine(x, float(step), int(zero), 0, 255)
    # Zero is in every range, so padding can be zeroed before looking for it.
    seen = (x.detach() if mask is None else x.detach() * mask.unsqueeze(-1)).flatten(1)
    # (B,) each; `aminmax` along a dimension takes sixteen times as long
    low, high = seen.amin(dim=1).clamp(max=0.0), seen.amax(dim=1).clamp(min=0.0)
    scale = ((high - low) / 255).clamp(min=_TINY)
    zero_point = (-low / scale).round().clamp(0, 255)
    places = (-1, *[1] * (x.ndim - 1))
    rounded: Tensor = _Rounding.apply(x, scale.view(places), zero_point.view(places), 0, 255)
    return rounded


def weight_scale(weight: Tensor, levels: int = 127) -> Tensor:
    """Return (N,) what one level of each output channel of a matrix (N, K) is worth."""
    return (weight.detach().abs().amax(dim=1) / levels).clamp(min=_TINY)


def quantize_weights(weight: Tensor, levels: int = 127) -> Tensor:
    """Round each output channel of a matrix to integers in [-levels, levels] times its scale.

    Args:
        weight: (N, K).
        levels: 127, or 63 for seven bits.
    """
    scale = weight_scale(weight, levels)[:, None]
    rounded: Tensor = _Rounding.apply(weight, scale, torch.zeros_like(scale), -levels, levels)
    return rounded


class _Rounding(torch.autograd.Function):
    """What `torch.fake_quantize_per_channel_affine` gives, by operations that a CPU does many
    numbers at a time with: in a fifth of the time."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ARG004
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor,
        least: int,
        most: int,
    ) -> Tensor:
        levels = (x * scale.reciprocal()).round_().add_(zero_point).clamp_(least, most)
        return levels.sub_(zero_point).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # noqa: ARG004
        return gradient, None, None, None, None


@contextmanager
def fake_quantized(
    model: LeanEncoderWithHead,
    plan: QuantizationPlan,
    *,
    fixed: bool = False,
    together: bool = False,
) -> Iterator[None]:
    """Within the block, the encoder computes with operands rounded as ONNX Runtime's will be.

    What the file does with one text at a time is done with a batch of them, padded or not. The
    queries and the feed-forward network of the last layer read the first token only when the
    encoder computes no others, that is, unless hidden states or Q, K, V are asked for; with those
    their dynamic range is that of all tokens.

    Args:
        model: Not changed; weights stay in float.
        plan: Says what is INT8 and how. A plan that is float for ONNX Runtime changes nothing.
        fixed: No weight changes within the block, so each is rounded once.
        together: A batch is rounded as the file rounds a padded one: with one dynamic range for all
            of its texts, padding included.

    Raises:
        ModelError: On running the model: the plan is static and has no range for a layer.
    """
    if plan.is_float("onnxruntime"):
        yield
        return

    known: dict[tuple[int, int], Tensor] = {}

    def weight_of(call: LinearCall) -> Tensor:
        place = (call.weight.data_ptr(), len(call.weight))
        weight = known.get(place)
        if weight is None:
            weight = quantize_weights(call.weight, plan.weight_levels)
            if fixed:
                known[place] = weight
        return weight

    def rounded(call: LinearCall) -> Tensor:
        if plan.keeps_in_float(call.layer):
            return F.linear(call.x, call.weight, call.bias)
        limits = plan.static_range(call.layer) if plan.schemes["onnxruntime"] == "static" else None
        # bfloat16 would round once more, as coarsely as 8 bits do.
        with torch.autocast(call.x.device.type, enabled=False):
            x = call.x.float()
            if together:
                x = quantize_activations(x.flatten(0, -2)[None], None, limits).view_as(x)
            else:
                x = quantize_activations(x, call.mask, limits)
            return F.linear(x, weight_of(call), call.bias)

    def rounded_words(x: Tensor) -> Tensor:
        return quantize_weights(x.flatten(0, 1)).view_as(x)  # a row of the table is a row here

    embed = rounded_words if plan.embeddings == "int8" else None
    with intercepted_linears(model, rounded, embed):
        yield
