"""Rounds weights to INT8 so that what a layer gives is right, and not each weight by itself.

Each weight to its nearest level is best where inputs are unrelated. Those of an encoder's layers
are not: what one weight is rounded up by, others can take back. Weights are rounded one input
channel after the other, and what that costs the layer's output is spread by least squares over
those not yet rounded (Optimal Brain Quantization; Frantar et al. 2023, "GPTQ",
https://arxiv.org/abs/2210.17323). Two things are other than there: the inputs are those that the
layer will have, rounded themselves, and a row's largest weight keeps its value, so that the scale
which an exporter finds is the one that was rounded for. What comes out is a model of float weights,
which exporters round to themselves.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.predict import batches_by_length, evaluating
from compress.quantization.calibration import first_texts
from compress.quantization.fake_quantization import (
    quantize_activations,
    quantize_weights,
    weight_scale,
)
from compress.quantization.interception import LinearCall, intercepted_linears, linear_layers
from compress.system.progress import Progress
from export.quantization import QuantizationPlan

__all__ = ["FINER", "ROUNDING_TEXTS", "Rounded", "round_columns", "round_weights"]

FINER = 4
"""Levels for one that weights seem to have after it, to those who weigh what INT8 costs: a quarter
of the error is twice as many, and four times as many is what outliers are best made small for."""

ROUNDING_TEXTS = 512
"""Training texts that are enough, unless they are very short."""

_TOKENS = 4096
_BLOCK = 128
_DAMPING = 0.01  # of the mean square of the inputs


@dataclass(frozen=True)
class Rounded:
    """A model whose weights are levels of INT8.

    Attributes:
        model: Each weight of the layers that are quantized is one of its row's levels.
        error: What is left of the mean squared error that rounding to the nearest level makes in
            the layers' outputs, as a share, in the mean over layers.
    """

    model: LeanEncoderWithHead
    error: float


def round_weights(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    plan: QuantizationPlan,
    *,
    progress: Progress,
) -> Rounded:
    """Return the model with the weights that INT8 files will hold.

    Args:
        model: Not changed.
        texts: Training texts, of which as many are looked at as have 4,096 tokens.
        plan: How it will be quantized. Layers that it leaves in float stay as they are.
        progress: Told of each layer.
    """
    if plan.is_float("onnxruntime") or not len(texts):
        return Rounded(model, 1.0)
    rounded, errors = copy.deepcopy(model), list[float]()
    layers = linear_layers(rounded)
    with evaluating(model), torch.inference_mode():
        products = _products(model, first_texts(texts, _TOKENS), plan)
        with progress.track("rounding weights", len(products)) as task:
            for (name, first, count), inputs in products.items():
                weight = layers[name].weight[first : first + count]
                found = round_columns(weight, inputs, plan.weight_levels)
                nearest = quantize_weights(weight, plan.weight_levels)
                missed, usual = (_missed(each - weight, inputs) for each in (found, nearest))
                errors.append(missed / max(usual, 1e-30))
                if missed < usual:
                    weight.copy_(found)
                task.advance()
    return Rounded(rounded, sum(errors) / max(1, len(errors)))


def round_columns(weight: Tensor, inputs: Tensor, levels: int = 127) -> Tensor:
    """Round each output channel of a matrix to integers in [-levels, levels] times its scale.

    Args:
        weight: (N, K).
        inputs: (K, K), sums of products of the K inputs over tokens.
        levels: 127, or 63 for seven bits.

    Returns:
        (N, K), on which `quantize_weights` changes nothing.
    """
    scale = weight_scale(weight, levels)
    power = inputs.diagonal()
    order = power.argsort(descending=True)  # what weighs most is rounded while all can make up
    damped = inputs[order][:, order].double()
    damped.diagonal().add_(_DAMPING * power.mean().clamp(min=1e-12))
    # Row i of the factor: how the error of input i is spread over those that follow. It is that of
    # the inverse, U with U^T U = inputs^-1, found without it: with R R^T = inputs, U is R^-1.
    factor = torch.linalg.cholesky(damped.flip(0, 1)).flip(0, 1)
    eye = torch.eye(len(factor), dtype=factor.dtype)
    spread = torch.linalg.solve_triangular(factor, eye, upper=True).float()
    left = weight.T[order] / scale  # (K, N), in levels; a row is an input
    largest = torch.where(left.abs() >= left.abs().amax(dim=0), levels * left.sign(), 0.0)
    for start in range(0, len(left), _BLOCK):
        stop = min(start + _BLOCK, len(left))
        block, errors = left[start:stop], torch.empty_like(left[start:stop])
        for i in range(stop - start):
            row, place = block[i], start + i
            kept = largest[place]
            value = torch.where(kept != 0, kept, row.round().clamp(-levels, levels))
            errors[i] = (row - value) / spread[place, place]
            block[i + 1 :].addr_(spread[place, place + 1 : stop], errors[i], alpha=-1)
            block[i] = value
        left[stop:].addmm_(spread[start:stop, stop:].T, errors, alpha=-1)
    rounded = torch.empty_like(left)
    rounded[order] = left * scale
    return rounded.T


def _products(
    model: LeanEncoderWithHead, texts: TokenizedTexts, plan: QuantizationPlan
) -> dict[tuple[str, int, int], Tensor]:
    """Return sums of products (K, K) of what each matrix product reads, as it will be rounded.

    By layer, and the first row and the number of rows that it multiplies with: the queries of a
    layer of which only the first token is wanted are a product by themselves.
    """
    layers, found = linear_layers(model), dict[tuple[str, int, int], Tensor]()
    rounded = dict[tuple[str, int, int], Tensor]()

    def watched(call: LinearCall) -> Tensor:
        if plan.keeps_in_float(call.layer):
            return F.linear(call.x, call.weight, call.bias)
        whole = layers[call.layer].weight
        first = (call.weight.storage_offset() - whole.storage_offset()) // whole.shape[1]
        place = (call.layer, first, len(call.weight))
        x = quantize_activations(call.x.float(), call.mask)
        rows = x.flatten(0, -2) if call.mask is None else x[call.mask]
        found[place] = rows.T @ rows + found.get(place, 0.0)
        if place not in rounded:
            rounded[place] = quantize_weights(call.weight, plan.weight_levels)
        return F.linear(x, rounded[place], call.bias)

    with intercepted_linears(model, watched):
        for _, inputs in batches_by_length(model, texts, 16):
            model(**inputs)
    return found


def _missed(apart: Tensor, inputs: Tensor) -> float:
    """Return the squared error of a product whose weights (N, K) are so far from the right ones."""
    return float(((apart @ inputs) * apart).sum())
