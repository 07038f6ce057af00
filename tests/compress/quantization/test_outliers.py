"""Outliers are made small: the same answers in float, nearer ones in INT8."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import SlicePlan, keep_layers, slice_model
from compress.predictions.predict import predict_logits
from compress.quantization.fake_quantization import fake_quantized, linear_layers
from compress.quantization.outliers import suppress_outliers
from compress.system.progress import SilentProgress
from export.quantization import QuantizationPlan

PLAN = QuantizationPlan()


def texts(seed: int) -> TokenizedTexts:
    """All begin with token 1."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 30, 60)
    ids = [np.r_[1, rng.integers(2, 300, n)].astype(np.int32) for n in lengths]
    return TokenizedTexts(ids, [np.zeros(len(row), np.int8) for row in ids])


def planted(model: LeanEncoderWithHead) -> LeanEncoderWithHead:
    """As trained encoders have it: a channel is large for one token, for which one neuron is large,
    too, and takes the channel back."""
    embeddings = model.encoder.embeddings
    with torch.no_grad():
        embeddings.words.weight[1] = 0
        embeddings.words.weight[1, 3] = 100.0
        if embeddings.projection is not None:
            embeddings.projection.weight.copy_(torch.eye(*embeddings.projection.weight.shape))
        for layer in model.encoder.layers:
            layer.attention_norm.weight[3] = 8.0
            up, down = layer.feed_forward.up, layer.feed_forward.down
            up.weight[:, 3] /= 8.0
            up.weight[5] = 0
            up.weight[5, 3], up.bias[5] = 1.0, -15.0
            down.weight[:, 5] = 0
            down.weight[3, 5] = -0.2
    return model


def test_int8_loses_less_and_float_nothing(lean: LeanEncoderWithHead) -> None:
    model = keep_layers(planted(lean), [0, 1])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    # What else is rounded would hide it.
    others = set(linear_layers(model)) - {"layers.0.feed_forward.up", "layers.0.feed_forward.down"}
    plan = QuantizationPlan(float_layers=tuple(others), embeddings="fp32")
    found = suppress_outliers(model, texts(0), plan, progress=SilentProgress())
    assert found.neurons > 0
    assert found.channels > 0
    assert found.gain < 0.5
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])  # the one given is as it was

    asked = texts(1)  # others than it was made with
    reference = predict_logits(model, asked)

    def lost(candidate: LeanEncoderWithHead) -> float:
        with fake_quantized(candidate, plan):
            return float(np.mean((predict_logits(candidate, asked) - reference) ** 2))

    assert lost(found.model) < 0.5 * lost(model)
    moved = predict_logits(found.model, asked) - reference
    assert float(np.mean(moved**2)) < 0.1 * lost(model)


def test_a_model_of_another_activation_gets_no_pairs(lean: LeanEncoderWithHead) -> None:
    model = planted(lean)
    model.config.hidden_act = "tanh"
    for layer in model.encoder.layers:
        layer.feed_forward.activation = torch.nn.Tanh()
    found = suppress_outliers(model, texts(0), PLAN, progress=SilentProgress())
    assert found.channels == 0
    assert found.model.config.layer_sizes == model.config.layer_sizes


def test_layers_without_neurons_are_left_alone(lean: LeanEncoderWithHead) -> None:
    model = slice_model(planted(lean), SlicePlan(neurons={1: []}))
    found = suppress_outliers(model, texts(0), PLAN, progress=SilentProgress())
    assert found.neurons > 0
    sizes = found.model.config.layer_sizes
    assert sizes[1].intermediate_size == 0
    assert sizes[0].intermediate_size > model.config.layer_sizes[0].intermediate_size


@pytest.mark.parametrize("scheme", ["float", "static"])
def test_a_file_that_stays_float_keeps_its_model(lean: LeanEncoderWithHead, scheme: str) -> None:
    model = planted(lean)
    plan = QuantizationPlan({"onnxruntime": scheme})
    found = suppress_outliers(model, texts(0), plan, progress=SilentProgress())
    assert (found.model is model) == (scheme == "float")


def test_what_has_no_outliers_stays_the_same_model(lean: LeanEncoderWithHead) -> None:
    found = suppress_outliers(lean, texts(0), PLAN, progress=SilentProgress())
    assert found.model is lean
    assert (found.neurons, found.channels) == (0, 0)
    assert found.gain == 1.0
    assert [asdict(each) for each in found.model.config.layer_sizes] == [
        asdict(each) for each in lean.config.layer_sizes
    ]
