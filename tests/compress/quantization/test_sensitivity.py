"""Which layer INT8 hurts, and that returning it to float mends the deployed file."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from compress.data.tokenized import TokenizedTexts
from compress.predictions.predict import predict_logits
from compress.quantization.calibration import activation_ranges
from compress.quantization.fake_quantization import linear_layers
from compress.quantization.mixed_precision import return_to_float
from compress.quantization.sensitivity import layer_sensitivities
from compress.system.progress import SilentProgress
from export.onnx import build_onnx
from export.quantization import QuantizationPlan

VICTIM = "layers.1.feed_forward.down"


@pytest.fixture
def texts() -> TokenizedTexts:
    rng = np.random.default_rng(3)
    return TokenizedTexts([rng.integers(1, 300, n).astype(np.int32) for n in [4, 9, 17] * 32])


@pytest.fixture
def broken(lean: Any) -> Any:
    """One neuron is always at 3000, and nothing reads it: harmless in float, fatal in INT8."""
    network = lean.encoder.layers[1].feed_forward
    with torch.no_grad():
        network.up.weight[5] = 0.0
        network.up.bias[5] = 3000.0
        network.down.weight[:, 5] = 0.0
        network.down.weight *= 4.0
    return lean


def deployed_disagreement(model: Any, plan: QuantizationPlan, texts: TokenizedTexts) -> float:
    """Points of texts that the exported file labels otherwise than the float model."""
    session = onnxruntime.InferenceSession(build_onnx(model, plan).SerializeToString())
    names = [entry.name for entry in session.get_inputs()]
    found = []
    for ids in texts.ids:
        row = ids[None].astype(np.int64)
        batch = {"input_ids": row, "attention_mask": np.ones_like(row)}
        batch["token_type_ids"] = np.zeros_like(row)
        found.append(session.run(["logits"], {name: batch[name] for name in names})[0].argmax())
    return 100.0 * float((np.array(found) != predict_logits(model, texts).argmax(axis=1)).mean())


def test_the_layer_that_int8_breaks_is_found_and_returned(
    broken: Any, texts: TokenizedTexts
) -> None:
    plan = QuantizationPlan()
    sensitivities = layer_sensitivities(broken, plan, texts, progress=SilentProgress())
    assert sensitivities[0].layer == VICTIM
    assert sensitivities[0].gain > 0.8 * sensitivities[0].all_int8
    assert sensitivities[0].gain > 10 * abs(sensitivities[1].gain)
    assert len(sensitivities) == len(linear_layers(broken))

    result = return_to_float(
        plan, sensitivities, lambda p: deployed_disagreement(broken, p, texts), bound=8.0
    )
    assert result.inside
    assert result.layers == result.plan.float_layers == (VICTIM,)
    before, after = (entry.distance for entry in result.tries)
    assert before > 15.0
    assert after <= 8.0
    assert f"{VICTIM} was returned to float" in result.reason


def test_a_static_plan_is_looked_at_too(broken: Any, texts: TokenizedTexts) -> None:
    ranges = activation_ranges(broken, texts, progress=SilentProgress())
    plan = QuantizationPlan({"onnxruntime": "static"}, static_ranges=ranges)
    assert layer_sensitivities(broken, plan, texts, progress=SilentProgress())[0].layer == VICTIM


def test_it_is_deterministic_and_leaves_nothing_behind(lean: Any, texts: TokenizedTexts) -> None:
    lean.train()
    before = {name: value.clone() for name, value in lean.state_dict().items()}
    few = texts.take(range(12))
    runs = [
        layer_sensitivities(lean, QuantizationPlan(), few, progress=SilentProgress())
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert [entry.gain for entry in runs[0]] == sorted(
        (entry.gain for entry in runs[0]), reverse=True
    )
    assert lean.training
    assert all(torch.equal(value, before[name]) for name, value in lean.state_dict().items())


def test_only_what_is_int8(lean: Any, texts: TokenizedTexts) -> None:
    few = texts.take(range(4))
    plan = QuantizationPlan(float_layers=("layers.0.attention.qkv",))
    found = layer_sensitivities(lean, plan, few, progress=SilentProgress())
    assert {entry.layer for entry in found} == set(linear_layers(lean)) - set(plan.float_layers)
    with pytest.raises(ValueError, match="need texts"):
        layer_sensitivities(lean, plan, texts.take([]), progress=SilentProgress())
    with pytest.raises(ValueError, match="float"):
        layer_sensitivities(
            lean, QuantizationPlan({"onnxruntime": "float"}), few, progress=SilentProgress()
        )
