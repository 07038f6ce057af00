"""The emulation is the deployed graph, and training can go through it."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from compress.data.tokenized import TokenizedTexts, collate
from compress.predictions.predict import predict_logits
from compress.quantization.calibration import activation_ranges
from compress.quantization.fake_quantization import (
    fake_quantized,
    linear_layers,
    quantize_activations,
    quantize_weights,
    weight_scale,
)
from compress.quantization.mixed_precision import safe_plan
from compress.system.progress import SilentProgress
from export.onnx import build_onnx
from export.quantization import QuantizationPlan
from runtimes.errors import ModelError
from runtimes.processor import processor_flags

FLOAT_LAYERS = ("layers.0.feed_forward.down", "layers.2.attention.qkv")

PLANS = {
    "dynamic": QuantizationPlan(),
    "float words": QuantizationPlan(embeddings="fp32"),
    "seven bits": QuantizationPlan(reduce_range=True),
    "float layers": QuantizationPlan(float_layers=FLOAT_LAYERS),
    "static": QuantizationPlan({"onnxruntime": "static"}),
    "static, float layers": QuantizationPlan({"onnxruntime": "static"}, float_layers=FLOAT_LAYERS),
}


@pytest.fixture
def texts() -> TokenizedTexts:
    """Twenty-four texts of different lengths, with token types."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(1, 300, n).astype(np.int32) for n in rng.integers(1, 40, 24)]
    types = [(np.arange(len(row)) > len(row) // 2).astype(np.int8) for row in ids]
    return TokenizedTexts(ids, types)


def deployed_logits(model: Any, plan: QuantizationPlan, texts: TokenizedTexts) -> np.ndarray:
    """What ONNX Runtime answers, one text a call."""
    session = onnxruntime.InferenceSession(build_onnx(model, plan).SerializeToString())
    rows = []
    for index, ids in enumerate(texts.ids):
        batch = {name: value.numpy() for name, value in collate(texts, [index], 0).items()}
        batch["attention_mask"] = np.ones((1, len(ids)), dtype=np.int64)
        rows.append(session.run(["logits"], {i.name: batch[i.name] for i in session.get_inputs()}))
    return np.concatenate([row[0] for row in rows])


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("batch_size", [1, 24], ids=["one by one", "padded"])
def test_the_emulation_is_the_deployed_graph(
    lean: Any, texts: TokenizedTexts, plan: QuantizationPlan, batch_size: int
) -> None:
    plan = safe_plan(plan, processor_flags())  # 8 bits saturate where the CPU has no VNNI
    if plan.schemes["onnxruntime"] == "static":
        ranges = activation_ranges(lean, texts, progress=SilentProgress())
        plan = replace(plan, static_ranges=ranges)
    expected = predict_logits(lean, texts)
    deployed = deployed_logits(lean, plan, texts)
    with fake_quantized(lean, plan):
        emulated = predict_logits(lean, texts, batch_size=batch_size)
    with fake_quantized(lean, plan, fixed=True):
        assert np.array_equal(predict_logits(lean, texts, batch_size=batch_size), emulated)
    cost = np.abs(deployed - expected)
    error = np.abs(deployed - emulated)
    assert cost.mean() > 1e-3
    # summation orders differ by 1e-7; where that moves a number over the edge of its rounding, the
    # answers differ by a step of it
    assert np.median(error) < 1e-5
    assert error.mean() < cost.mean() / 8


def test_the_first_token_s_layer_is_rounded_too(lean: Any, texts: TokenizedTexts) -> None:
    names = list(linear_layers(lean))
    last = f"layers.{len(lean.config.layers) - 1}.attention.qkv"
    only = QuantizationPlan(
        embeddings="fp32", float_layers=tuple(name for name in names if name != last)
    )
    before = predict_logits(lean, texts)
    with fake_quantized(lean, only):
        assert np.abs(predict_logits(lean, texts) - before).max() > 1e-3


def test_nothing_rounded_is_the_float_model(lean: Any, texts: TokenizedTexts) -> None:
    before = predict_logits(lean, texts)
    everything = QuantizationPlan(embeddings="fp32", float_layers=tuple(linear_layers(lean)))
    for plan in (everything, QuantizationPlan({"onnxruntime": "float"})):
        with fake_quantized(lean, plan):
            np.testing.assert_array_equal(predict_logits(lean, texts), before)


def test_nothing_is_left_behind(lean: Any, texts: TokenizedTexts) -> None:
    before = predict_logits(lean, texts)
    state = {name: value.clone() for name, value in lean.state_dict().items()}
    with fake_quantized(lean, QuantizationPlan()):
        assert np.abs(predict_logits(lean, texts) - before).max() > 1e-3
        assert lean.state_dict().keys() == state.keys()

    def fail() -> None:
        raise KeyError("inside the block")

    with pytest.raises(KeyError), fake_quantized(lean, QuantizationPlan()):
        fail()
    np.testing.assert_array_equal(predict_logits(lean, texts), before)
    assert all(torch.equal(value, state[name]) for name, value in lean.state_dict().items())
    assert not lean.encoder._forward_pre_hooks


def test_another_model_in_the_block_is_untouched(lean: Any, texts: TokenizedTexts) -> None:
    import copy

    teacher = copy.deepcopy(lean)
    before = predict_logits(teacher, texts)
    with fake_quantized(lean, QuantizationPlan()):
        np.testing.assert_array_equal(predict_logits(teacher, texts), before)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gradients_flow_to_the_float_weights(
    lean: Any, texts: TokenizedTexts, bfloat16: bool
) -> None:
    batch = collate(texts, range(8), 0)
    lean(**batch).logits.square().sum().backward()
    exact = {name: parameter.grad.clone() for name, parameter in lean.named_parameters()}
    lean.zero_grad()
    with (
        fake_quantized(lean, QuantizationPlan()),
        torch.autocast("cpu", torch.bfloat16, enabled=bfloat16),
    ):
        logits = lean(**batch).logits
    logits.float().square().sum().backward()
    for name, parameter in lean.named_parameters():
        a, b = parameter.grad.flatten(), exact[name].flatten()
        if float(b.norm()) > 1e-3:
            assert float(torch.cosine_similarity(a, b, dim=0)) > 0.95, name


def test_a_few_steps_in_the_block_make_int8_better(lean: Any, texts: TokenizedTexts) -> None:
    """Each step rounds the weights as they are then."""
    target = torch.from_numpy(predict_logits(lean, texts))
    batch = collate(texts, range(len(texts)), 0)
    plan = QuantizationPlan(reduce_range=True)
    optimizer = torch.optim.Adam(lean.parameters(), lr=3e-4)
    losses = []
    with fake_quantized(lean, plan):
        for _ in range(25):
            loss = (lean(**batch).logits - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert min(losses) < 0.5 * losses[0]


def test_a_plan_for_another_model_is_refused(lean: Any, texts: TokenizedTexts) -> None:
    plan = QuantizationPlan(
        {"onnxruntime": "static"}, static_ranges={"layers.0.attention.qkv": (0, 1)}
    )
    with (
        pytest.raises(ModelError, match=r"no range .* embeddings\.projection"),
        fake_quantized(lean, plan),
    ):
        predict_logits(lean, texts)


def test_padding_has_no_part_in_the_range() -> None:
    x = torch.tensor([[[1.0, -2.0], [0.5, 0.3], [90.0, -80.0]]])
    mask = torch.tensor([[True, True, False]])
    padded = quantize_activations(x, mask)[:, :2]
    torch.testing.assert_close(padded, quantize_activations(x[:, :2]))
    assert float((padded - x[:, :2]).abs().max()) <= 3.0 / 255


@pytest.mark.parametrize("levels", [63, 127])
def test_it_rounds_as_pytorch_does_and_lets_gradients_through(levels: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(8, 5, 48), torch.randn(32, 48)
    x[3], weight[7] = 0.0, 0.0
    x[4] = x[4].abs()
    low, high = x.flatten(1).amin(1).clamp(max=0), x.flatten(1).amax(1).clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-12)
    zeros = (-low / scale).round().clamp(0, 255).to(torch.int32)
    expected = torch.fake_quantize_per_channel_affine(x, scale, zeros, 0, 0, 255)
    assert torch.equal(quantize_activations(x), expected)
    scale, none = weight_scale(weight, levels), torch.zeros(32, dtype=torch.int32)
    expected = torch.fake_quantize_per_channel_affine(weight, scale, none, 0, -levels, levels)
    assert torch.equal(quantize_weights(weight, levels), expected)
    x.requires_grad_()
    quantize_activations(x).square().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2 * quantize_activations(x).detach())


def test_a_static_range_clips_and_stops_the_gradient() -> None:
    x = torch.tensor([[[-3.0, -0.5, 0.0, 0.7, 9.0]]], requires_grad=True)
    y = quantize_activations(x, limits=(-1.0, 1.0))
    y.sum().backward()
    y = y.detach()
    assert float(y.min()) == pytest.approx(-1.0, abs=0.01)
    assert float(y.max()) == pytest.approx(1.0, abs=0.01)
    assert float(y[0, 0, 2]) == 0.0
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_weights_have_a_scale_an_output_channel() -> None:
    weight = torch.tensor([[0.01, -0.02, 0.0], [100.0, 50.0, 1.0], [0.0, 0.0, 0.0]])
    rounded = quantize_weights(weight)
    assert torch.isfinite(rounded).all()
    torch.testing.assert_close(rounded[:1], weight[:1], rtol=0.02, atol=0)
    assert float((rounded[1] - weight[1]).abs().max()) <= 100 / 127 / 2 + 1e-4
