"""INT8: what is quantized, what is not, and that the answers stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import numpy_helper

from export.onnx import build_onnx, build_portable_onnx
from export.openvino import build_openvino, quantize_openvino
from export.parity import torch_logits
from export.quantization import QuantizationPlan, quantize_columns, quantize_rows
from export.quiet import quiet_libraries

FLOAT_LAYERS = ("layers.0.feed_forward.down", "layers.1.attention.qkv")

matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    elements=st.floats(-100, 100, width=32),
)


@given(matrices, st.sampled_from([127, 63]))
@settings(deadline=None)
def test_columns_are_within_half_a_step(weight: np.ndarray, levels: int) -> None:
    quantized, scale = quantize_columns(weight, levels)
    assert quantized.dtype == np.int8
    assert scale.shape == (weight.shape[1],)
    assert np.abs(quantized.astype(int)).max() <= levels
    error = np.abs(quantized * scale - weight)
    assert (error <= scale * 0.5 + 1e-5 * np.abs(weight).max() + 1e-12).all()


def test_a_large_column_does_not_coarsen_another() -> None:
    weight = np.array([[0.01, 100.0], [-0.02, 50.0]], dtype=np.float32)
    quantized, scale = quantize_columns(weight)
    np.testing.assert_allclose(quantized * scale, weight, rtol=0.01)


@given(matrices)
@settings(deadline=None)
def test_rows_have_a_scale_each(table: np.ndarray) -> None:
    quantized, scale = quantize_rows(table)
    assert scale.shape == (len(table), 1)
    assert (np.abs(quantized * scale - table) <= scale * 0.5 + 1e-3).all()


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def test_every_matrix_is_int8_with_one_scale_a_column(lean: Callable[..., Any]) -> None:
    values = constants(build_onnx(lean(), QuantizationPlan()))
    weights = {name: value for name, value in values.items() if name.endswith(".weight_int8")}
    # the last layer's qkv is two matrices: the first token's queries, all tokens' keys and values
    assert len(weights) == 4 + 5
    for name, weight in weights.items():
        assert weight.dtype == np.int8
        assert values[name.replace(".weight_int8", ".scale")].shape == (weight.shape[1],)
        assert np.abs(weight.astype(int)).max(axis=0).min() == 127


def test_the_word_table_has_one_byte_an_entry(lean: Callable[..., Any]) -> None:
    model = lean()
    values = constants(build_onnx(model, QuantizationPlan()))
    assert values["words_int8"].dtype == np.int8
    assert values["words_scale"].shape == (60, 1)
    table = model.state_dict()["encoder.embeddings.words.weight"].numpy()
    restored = values["words_int8"] * values["words_scale"]
    assert np.abs(restored - table).max() <= values["words_scale"].max() / 2 + 1e-6
    assert "words" not in values
    kept = constants(build_onnx(model, QuantizationPlan(embeddings="fp32")))
    np.testing.assert_array_equal(kept["words"], table)
    assert "words_int8" not in kept


def test_reduced_range_stays_within_63(lean: Callable[..., Any]) -> None:
    values = constants(build_onnx(lean(), QuantizationPlan(reduce_range=True)))
    largest = [
        np.abs(value.astype(int)).max() for name, value in values.items() if "weight_int8" in name
    ]
    assert set(largest) == {63}


def test_float_layers_stay_float_in_onnx(lean: Callable[..., Any]) -> None:
    model = lean()
    values = constants(build_onnx(model, QuantizationPlan(float_layers=FLOAT_LAYERS)))
    in_float = {name for name in values if name.endswith(".weight") and "layers." in name}
    assert {name for name in in_float if "norm" not in name} == {
        "layers.0.feed_forward.down.weight",
        "layers.1.attention.qkv.0_24.weight",
        "layers.1.attention.qkv.24_72.weight",
    }
    down = model.state_dict()["encoder.layers.0.feed_forward.down.weight"].numpy().T
    np.testing.assert_array_equal(values["layers.0.feed_forward.down.weight"], down)
    assert "layers.0.feed_forward.down.weight_int8" not in values
    assert "layers.0.feed_forward.up.weight_int8" in values


def run_onnx(proto: onnx.ModelProto, batches: list[dict[str, np.ndarray]]) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(["logits"], batch)[0] for batch in batches])


def agreement(logits: np.ndarray, expected: np.ndarray) -> float:
    return float((logits.argmax(-1) == expected.argmax(-1)).mean())


@pytest.mark.parametrize(
    "plan",
    [
        QuantizationPlan(),
        QuantizationPlan(embeddings="fp32"),
        QuantizationPlan(reduce_range=True),
        QuantizationPlan(float_layers=FLOAT_LAYERS),
    ],
    ids=["default", "float words", "reduced range", "float layers"],
)
def test_onnx_int8_gives_nearly_the_same_labels(
    lean: Callable[..., Any], batches: Callable[..., Any], plan: QuantizationPlan
) -> None:
    model = lean()
    inputs = [batch for seed in range(10) for batch in batches(model, seed)]
    expected = torch_logits(model, inputs)
    logits = run_onnx(build_onnx(model, plan), inputs)
    assert agreement(logits, expected) >= 0.9
    assert np.abs(logits - expected).max() < 0.5 * expected.std()


@pytest.mark.parametrize("shape", ["no heads", "no neurons", "projection"])
def test_pruned_shapes_are_quantized_too(
    lean: Callable[..., Any], batches: Callable[..., Any], shape: str
) -> None:
    size = {"heads": 2, "head_size": 8, "intermediate_size": 24}
    config = {
        "no heads": {"layers": [{**size, "heads": 0}, size]},
        "no neurons": {"layers": [size, {**size, "intermediate_size": 0}]},
        "projection": {"embedding_size": 16},
    }[shape]
    model = lean(**config)
    inputs = batches(model)
    expected = torch_logits(model, inputs)
    logits = run_onnx(build_onnx(model, QuantizationPlan()), inputs)
    assert np.abs(logits - expected).max() < 0.5 * expected.std()


def lowered(model: Any, plan: QuantizationPlan, batches: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """The quantized OpenVINO model, its logits, and PyTorch's."""
    from runtimes.adapters.openvino import import_openvino

    inputs = [batch for seed in range(4) for batch in batches(model, seed)]
    calibration = [
        {name: value[:1, : int(b["attention_mask"][0].sum())] for name, value in b.items()}
        for b in inputs
    ]
    with quiet_libraries():
        floats = build_openvino(build_portable_onnx(model))
        quantized = quantize_openvino(floats, plan, calibration)
    compiled = import_openvino().compile_model(quantized, "CPU")
    logits = np.concatenate([compiled(batch)["logits"] for batch in inputs])
    return quantized, logits, torch_logits(model, inputs)


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Matrix product or look-up -> what it multiplies by or looks up in, as stored."""
    found = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() not in ("MatMul", "Gather"):
            continue
        source = node.input_value(1 if node.get_type_name() == "MatMul" else 0).get_node()
        while source.get_type_name() in ("Multiply", "Convert", "Subtract"):
            source = source.input_value(0).get_node()
        if source.get_type_name() == "Constant" and source.data.ndim == 2:
            found[node.get_friendly_name()] = source.data
    return found


def test_openvino_int8_by_default(lean: Callable[..., Any], batches: Callable[..., Any]) -> None:
    quantized, logits, expected = lowered(lean(), QuantizationPlan(), batches)
    weights = weights_of(quantized)
    assert len(weights) == 9 + 2 + 2  # layers, classifier, words and types
    assert {weight.dtype for weight in weights.values()} == {np.dtype(np.int8)}
    assert max(np.abs(weight.astype(int)).max() for weight in weights.values()) == 127
    assert agreement(logits, expected) >= 0.85


def test_openvino_keeps_in_float_what_the_plan_says(
    lean: Callable[..., Any], batches: Callable[..., Any]
) -> None:
    plan = QuantizationPlan(reduce_range=True, embeddings="fp32", float_layers=FLOAT_LAYERS)
    quantized, logits, expected = lowered(lean(), plan, batches)
    weights = weights_of(quantized)
    in_float = sorted(w.shape for w in weights.values() if w.dtype == np.float32)
    assert in_float == [(2, 32), (32, 24), (32, 48), (40, 32), (60, 32)]
    # NNCF's half range is one wider on one side; two products u8 x s8 still fit: 2 * 255 * 64
    in_bytes = [np.abs(w.astype(int)).max() for w in weights.values() if w.dtype == np.int8]
    assert max(in_bytes) <= 64
    assert len(in_bytes) == 8
    assert agreement(logits, expected) >= 0.85


def test_the_float_model_is_not_modified(
    lean: Callable[..., Any], batches: Callable[..., Any]
) -> None:
    model = lean()
    floats = build_openvino(build_portable_onnx(model))
    before = {node.get_type_name() for node in floats.get_ordered_ops()}
    with quiet_libraries():
        quantize_openvino(floats, QuantizationPlan(), batches(model)[1:2])
    assert {node.get_type_name() for node in floats.get_ordered_ops()} == before


def test_where_quantized_arithmetic_is_exact() -> None:
    assert "avx512_vnni" in QuantizationPlan().instruction_sets
    assert QuantizationPlan(reduce_range=True).instruction_sets == ("any",)
    assert QuantizationPlan().to_json()["instruction_sets"]
