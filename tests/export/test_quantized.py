"""INT8: what is quantized, what is not, and that the answers stay."""

import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import numpy_helper

from compress.quantization.fake_quantization import fake_quantized
from compress.quantization.mixed_precision import safe_plan
from export.onnx import build_onnx, build_portable_onnx
from export.openvino import build_openvino, quantize_openvino
from export.parity import torch_logits
from export.quantization import (
    QuantizationPlan,
    activation_scale,
    quantize_columns,
    quantize_rows,
)
from export.quiet import quiet_libraries
from runtimes.errors import ArtifactError, ModelError
from runtimes.processor import processor_flags

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
    assert len(weights) == 4 + 5 + 1  # and the classifier's
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
        "layers.0.feed_forward.down.negated.weight",
        "layers.1.attention.qkv.0_24.weight",
        "layers.1.attention.qkv.24_72.weight",
    }
    down = model.state_dict()["encoder.layers.0.feed_forward.down.weight"].numpy().T
    np.testing.assert_array_equal(-values["layers.0.feed_forward.down.negated.weight"], down)
    assert "layers.0.feed_forward.down.negated.weight_int8" not in values
    assert "layers.0.feed_forward.up.weight_int8" in values


def run_onnx(proto: onnx.ModelProto, batches: list[dict[str, np.ndarray]]) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(["logits"], batch)[0] for batch in batches])


def here(plan: QuantizationPlan) -> QuantizationPlan:
    """The plan as a run takes it on this machine: 8 bits saturate where the CPU has no VNNI."""
    return safe_plan(plan, processor_flags())


def agreement(logits: np.ndarray, expected: np.ndarray) -> float:
    return float((logits.argmax(-1) == expected.argmax(-1)).mean())


def one_by_one(batches: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Their rows without padding, which would have a part in the ranges of a batch."""
    return [
        {name: value[row : row + 1, :length] for name, value in batch.items()}
        for batch in batches
        for row, length in enumerate(batch["attention_mask"].sum(axis=1))
    ]


def assert_as_emulated(
    model: Any, plan: QuantizationPlan, inputs: list[dict[str, np.ndarray]]
) -> None:
    """ONNX Runtime answers what PyTorch does with weights and activations rounded."""
    proto = build_onnx(model, plan)
    for rows, together in ((one_by_one(inputs), False), (inputs, True)):
        with fake_quantized(model, plan, together=together):
            emulated = torch_logits(model, rows)
        deployed = run_onnx(proto, rows)
        cost = np.abs(deployed - torch_logits(model, rows))
        error = np.abs(deployed - emulated)
        assert cost.mean() > 1e-3, "INT8 that costs nothing is none"
        # Summation orders differ by 1e-7: where that moves a number over the edge of its rounding,
        # the answers differ by a step of it.
        assert np.median(error) < 1e-5
        assert error.mean() < cost.mean() / 8


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
def test_onnx_int8_is_what_is_emulated_and_keeps_the_labels(
    lean: Callable[..., Any], batches: Callable[..., Any], certain: Any, plan: QuantizationPlan
) -> None:
    model = lean()
    assert_as_emulated(model, here(plan), [b for seed in range(10) for b in batches(model, seed)])
    inputs = [certain.marked(certain.model, seed) for seed in range(20)]
    logits = run_onnx(build_onnx(certain.model, here(plan)), inputs)
    assert agreement(logits, torch_logits(certain.model, inputs)) >= 0.99


def test_the_certain_model_is_right(certain: Any) -> None:
    """Otherwise that its answers stay would say little."""
    inputs = [certain.marked(certain.model, seed) for seed in range(20)]
    labels = np.concatenate([certain.labels_of(batch) for batch in inputs])
    assert (torch_logits(certain.model, inputs).argmax(axis=1) == labels).mean() >= 0.98


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
    inputs = [batch for seed in range(5) for batch in batches(model, seed)]
    assert_as_emulated(model, here(QuantizationPlan()), inputs)


def lowered(certain: Any, plan: QuantizationPlan) -> tuple[Any, np.ndarray, np.ndarray]:
    """The quantized OpenVINO model, its logits, and PyTorch's."""
    from runtimes.adapters.openvino import import_openvino

    model = certain.model
    inputs = [certain.marked(model, seed) for seed in range(20)]
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


def test_openvino_int8_is_right_at_every_length(lean: Callable[..., Any], tmp_path: Path) -> None:
    """On CPUs with AMX single lengths were wrong, by as much as the logits themselves.

    What is right: the same file without OpenVINO's compiled attention, which was at fault.
    """
    from runtimes.adapters.openvino import import_openvino, open_model

    model = lean(max_position_embeddings=64, type_vocab_size=0)
    rng = np.random.default_rng(0)
    inputs = [
        {
            "input_ids": rng.integers(1, model.config.vocab_size, (8, length)),
            "attention_mask": np.ones((8, length), dtype=np.int64),
        }
        for length in range(1, 65)
    ]
    openvino, path = import_openvino(), tmp_path / "model.xml"
    with quiet_libraries():
        floats = build_openvino(build_portable_onnx(model))
        openvino.save_model(quantize_openvino(floats, here(QuantizationPlan()), inputs), path)
    exact = openvino.compile_model(
        path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "SNIPPETS_MODE": "DISABLE"}
    )
    session = open_model(path, precision="int8")
    for length, batch in enumerate(inputs, 1):
        expected = exact(batch)["logits"]
        error = np.abs(session.run(batch)["logits"] - expected).max()
        # Integers next to each other are told apart by less than what rounding may differ in.
        assert error < 0.1 * np.abs(expected).max(), f"wrong at {length} tokens"


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


def test_openvino_int8_by_default(certain: Any) -> None:
    quantized, _, _ = lowered(certain, QuantizationPlan())
    weights = weights_of(quantized)
    assert len(weights) == 9 + 2 + 2  # layers, classifier, words and types
    assert {weight.dtype for weight in weights.values()} == {np.dtype(np.int8)}
    assert max(np.abs(weight.astype(int)).max() for weight in weights.values()) == 127
    _, logits, expected = lowered(certain, here(QuantizationPlan()))
    assert agreement(logits, expected) >= 0.99


def test_openvino_keeps_in_float_what_the_plan_says(certain: Any) -> None:
    plan = QuantizationPlan(reduce_range=True, embeddings="fp32", float_layers=FLOAT_LAYERS)
    quantized, logits, expected = lowered(certain, plan)
    weights = weights_of(quantized)
    in_float = sorted(w.shape for w in weights.values() if w.dtype == np.float32)
    assert in_float == [(2, 32), (32, 24), (32, 48), (40, 32), (60, 32)]
    # NNCF's half range is one wider on one side; two products u8 x s8 still fit: 2 * 255 * 64
    in_bytes = [np.abs(w.astype(int)).max() for w in weights.values() if w.dtype == np.int8]
    assert max(in_bytes) <= 64
    assert len(in_bytes) == 8
    assert agreement(logits, expected) >= 0.99


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


def static_plan(model: Any, **changes: Any) -> QuantizationPlan:
    """Ranges wide enough for anything that these encoders compute."""
    parts = ("attention.qkv", "attention.output", "feed_forward.up", "feed_forward.down")
    names = [f"layers.{index}.{part}" for index in range(2) for part in parts]
    names += ["embeddings.projection", "classifier.dense"]
    ranges = dict.fromkeys(names, (-6.0, 8.0))
    return QuantizationPlan({"onnxruntime": "static"}, static_ranges=ranges, **changes)


def test_a_static_product_is_what_its_integers_say(lean: Callable[..., Any]) -> None:
    """Round to the plan's range, multiply integers, scale back: in numpy."""
    from export.dialects import OnnxRuntimeDialect
    from export.weights import LeanWeights

    model = lean()
    ranges = {"layers.0.feed_forward.up": (-1.0, 2.0)}
    plan = here(QuantizationPlan({"onnxruntime": "static"}, static_ranges=ranges))
    weights = LeanWeights(model)
    layer = weights.linear("layers.0.feed_forward.up")
    dialect = OnnxRuntimeDialect(weights, plan)
    x = dialect.graph.node("Cast", "input_ids", to=onnx.TensorProto.FLOAT)
    x = dialect.graph.node("Mul", x, dialect.graph.constant("tenth", np.array(0.1, np.float32)))
    outputs = {"logits": (dialect.linear(x, layer), ("batch", 40))}
    proto = dialect.graph.model(["input_ids"], outputs)
    ids = np.random.default_rng(0).integers(-15, 30, (5, 32))  # some outside of the range
    values = ids.astype(np.float32) * np.float32(0.1)

    weight, scale = quantize_columns(layer.weight, plan.weight_levels)
    step, zero = activation_scale(-1.0, 2.0)
    integers = np.clip(np.rint(values / step) + zero, 0, 255).astype(np.int32) - int(zero)
    expected = (integers @ weight.astype(np.int32)) * (step * scale) + layer.bias
    np.testing.assert_allclose(run_onnx(proto, [{"input_ids": ids}]), expected, atol=1e-5)


def test_the_static_graph_has_no_range_to_look_for(lean: Callable[..., Any]) -> None:
    model = lean()
    plan = static_plan(model, float_layers=("layers.0.feed_forward.down",), reduce_range=True)
    proto = build_onnx(model, plan)
    operators = [node.op_type for node in proto.graph.node]
    assert operators.count("MatMulIntegerToFloat") == operators.count("QuantizeLinear") == 9
    assert operators.count("MatMul") == 1
    assert "DynamicQuantizeMatMul" not in operators
    values = constants(proto)
    assert values["layers.0.attention.qkv.input_scale"] == np.float32(14 / 255)
    assert values["layers.0.attention.qkv.input_zero_point"] == 109
    assert max(np.abs(v.astype(int)).max() for n, v in values.items() if "weight_int8" in n) == 63


def test_static_int8_is_what_is_emulated(
    lean: Callable[..., Any], batches: Callable[..., Any]
) -> None:
    model = lean()
    inputs = [batch for seed in range(10) for batch in batches(model, seed)]
    assert_as_emulated(model, here(static_plan(model)), inputs)


def test_static_answers_do_not_depend_on_batch_mates(
    lean: Callable[..., Any], batches: Callable[..., Any]
) -> None:
    model = lean()
    proto = build_onnx(model, static_plan(model))
    (batch, *_) = batches(model)
    rows = [{name: value[i : i + 1] for name, value in batch.items()} for i in range(3)]
    np.testing.assert_allclose(run_onnx(proto, [batch]), run_onnx(proto, rows), atol=1e-5)


def test_a_static_plan_of_another_model_is_refused(lean: Callable[..., Any]) -> None:
    plan = QuantizationPlan(
        {"onnxruntime": "static"}, static_ranges={"layers.0.attention.qkv": (0, 1)}
    )
    with pytest.raises(ModelError, match=r"no range for the input of layers\.0\.attention\.output"):
        build_onnx(lean(), plan)


def test_float_schemes_are_the_float_files(lean: Callable[..., Any]) -> None:
    model = lean()
    plan = QuantizationPlan({"onnxruntime": "float", "openvino": "float"})
    assert build_onnx(model, plan) == build_onnx(model)
    floats = build_openvino(build_portable_onnx(model))
    assert quantize_openvino(floats, plan, []) is floats
    assert plan.instruction_sets == ("any",)


def test_without_smooth_quant_no_channel_is_scaled(certain: Any) -> None:
    def smoothed(plan: QuantizationPlan) -> int:
        quantized, logits, expected = lowered(certain, here(plan))
        assert agreement(logits, expected) >= 0.99
        names = [node.get_friendly_name() for node in quantized.get_ordered_ops()]
        return sum("smooth_quant" in name for name in names)

    assert smoothed(QuantizationPlan({"openvino": "plain"})) == 0
    assert smoothed(QuantizationPlan()) > 0


class Counted:
    """Makes calibration inputs when asked for, and counts how many are alive at once."""

    def __init__(self, model: Any, count: int) -> None:
        self.model, self.count = model, count
        self.alive = self.most = self.made = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for seed in range(self.count):
            ids = np.random.default_rng(seed).integers(1, 60, (1, 3 + seed % 30))
            weakref.finalize(ids, self.gone)
            self.alive, self.made = self.alive + 1, self.made + 1
            self.most = max(self.most, self.alive)
            names = ("attention_mask", "token_type_ids")
            yield {"input_ids": ids, **{name: np.ones_like(ids) for name in names}}
            del ids

    def gone(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize("scheme", ["smooth", "plain"])
def test_calibration_lets_go_of_what_it_has_read(
    lean: Callable[..., Any], scheme: Literal["smooth", "plain"]
) -> None:
    model = lean()
    floats = build_openvino(build_portable_onnx(model))
    calibration = Counted(model, 40)
    with quiet_libraries():
        quantize_openvino(floats, QuantizationPlan({"openvino": scheme}), calibration)
    assert calibration.made >= 40
    assert calibration.most <= 4


def test_a_plan_can_be_read_back() -> None:
    plan = QuantizationPlan(
        {"onnxruntime": "static", "openvino": "plain"},
        embeddings="fp32",
        reduce_range=True,
        float_layers=FLOAT_LAYERS,
        calibration_texts=7,
        smooth_quant_alpha=0.5,
        static_ranges={"layers.0.attention.qkv": (-1.5, 2.25)},
    )
    assert QuantizationPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert QuantizationPlan.from_json({"embeddings": "int8"}) == QuantizationPlan()
    with pytest.raises(ArtifactError, match="unknown entries: blocks"):
        QuantizationPlan.from_json({**plan.to_json(), "blocks": 3})


def test_what_a_plan_needs_is_said_by_runtime() -> None:
    plan = QuantizationPlan({"openvino": "float"})
    assert plan.instruction_sets_of("openvino") == ("any",)
    assert "avx512_vnni" in plan.instruction_sets_of("onnxruntime")
    assert plan.instruction_sets == plan.instruction_sets_of("onnxruntime")


def test_a_layer_name_is_no_prefix_of_another() -> None:
    plan = QuantizationPlan(float_layers=("layers.1",), static_ranges={"layers.1.x": (0, 1)})
    assert plan.keeps_in_float("layers.1.attention.qkv.0_24")
    assert not plan.keeps_in_float("layers.10.attention.qkv")
    with pytest.raises(ModelError):
        plan.static_range("layers.1.xy")


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_zero_is_exact_in_every_range(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    scale, zero = activation_scale(low, high)
    assert scale > 0
    # both ends are within half a step
    assert -int(zero) * scale <= min(low, 0) + scale * 0.51
    assert (255 - int(zero)) * scale >= max(high, 0) - scale * 0.51
