"""Weights are rounded for what layers give, and exporters find them rounded."""

import numpy as np
import pytest
import torch

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import keep_layers
from compress.predictions.predict import predict_logits
from compress.quantization.fake_quantization import (
    fake_quantized,
    linear_layers,
    quantize_weights,
)
from compress.quantization.rounding import round_columns, round_weights
from compress.system.progress import SilentProgress
from export.quantization import QuantizationPlan, quantize_columns


def texts(seed: int) -> TokenizedTexts:
    rng = np.random.default_rng(seed)
    ids = [rng.integers(1, 300, n).astype(np.int32) for n in rng.integers(4, 30, 200)]
    return TokenizedTexts(ids, [np.zeros(len(row), np.int8) for row in ids])


def missed(apart: torch.Tensor, inputs: torch.Tensor) -> float:
    return float(((apart @ inputs) * apart).sum())


@pytest.mark.parametrize("levels", [127, 63])
def test_related_inputs_take_back_what_rounding_costs(levels: int) -> None:
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(40, 200, generator=draw)
    mixed = torch.randn(1000, 60, generator=draw) @ torch.randn(60, 200, generator=draw)
    inputs = mixed.T @ mixed
    rounded = round_columns(weight, inputs, levels)
    nearest = quantize_weights(weight, levels)
    assert missed(rounded - weight, inputs) < 0.25 * missed(nearest - weight, inputs)
    steps = weight.abs().amax(dim=1, keepdim=True) / levels
    assert float(((rounded - weight).abs() / steps).max()) < 4
    # What an exporter makes of them is what they are.
    assert torch.equal(quantize_weights(rounded, levels), rounded)
    values, scales = quantize_columns(rounded.T.numpy(), levels)
    np.testing.assert_allclose(values * scales, rounded.T.numpy(), rtol=1e-6)
    assert np.abs(values).max() == levels


def test_of_unrelated_inputs_each_weight_is_rounded_by_itself() -> None:
    weight = torch.randn(30, 50, generator=torch.Generator().manual_seed(1))
    power = torch.linspace(0.1, 5, 50)
    assert torch.equal(round_columns(weight, torch.diag(power)), quantize_weights(weight))


def test_inputs_that_are_always_zero_and_rows_of_zeros() -> None:
    weight = torch.randn(6, 9, generator=torch.Generator().manual_seed(2))
    weight[3] = 0
    rounded = round_columns(weight, torch.zeros(9, 9))
    torch.testing.assert_close(rounded, quantize_weights(weight))


@pytest.mark.parametrize("reduce_range", [False, True])
def test_a_models_int8_is_nearer_to_its_float_answers(
    lean: LeanEncoderWithHead, reduce_range: bool
) -> None:
    model = keep_layers(lean, [0, 1])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = QuantizationPlan(reduce_range=reduce_range, float_layers=("layers.1.feed_forward.up",))
    found = round_weights(model, texts(0), plan, progress=SilentProgress())
    assert found.error < 0.7
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])  # the one given is as it was
    for name, layer in linear_layers(found.model).items():
        own = linear_layers(model)[name].weight
        if name in plan.float_layers:
            assert torch.equal(layer.weight, own)
        else:
            assert torch.equal(quantize_weights(layer.weight, plan.weight_levels), layer.weight)
            assert not torch.equal(layer.weight, own)

    held_out = texts(1)
    right = predict_logits(model, held_out)
    apart = []
    for each in (model, found.model):
        with fake_quantized(each, plan, fixed=True):
            apart.append(float(((predict_logits(each, held_out) - right) ** 2).mean()))
    assert apart[1] < apart[0]


def test_what_stays_in_float_is_left_alone(lean: LeanEncoderWithHead) -> None:
    plan = QuantizationPlan({"onnxruntime": "float"})
    assert round_weights(lean, texts(0), plan, progress=SilentProgress()).model is lean
