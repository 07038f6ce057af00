"""Float graphs say what PyTorch says, in every form that pruning can leave an encoder in."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from compress.quantization.mixed_precision import safe_plan
from export.folds import Folds
from export.onnx import build_onnx, build_portable_onnx
from export.openvino import build_openvino, save_openvino
from export.parity import answers, torch_logits
from export.quantization import QuantizationPlan
from runtimes.errors import ModelError
from runtimes.processor import processor_flags
from runtimes.registry import get_runtime

SIZES = {"heads": 2, "head_size": 8, "intermediate_size": 24}

SHAPES: dict[str, dict[str, Any]] = {
    "two uneven layers": {},
    "no token types": {"type_vocab_size": 0},
    "every token in the last layer": {"first_token_last_layer": False},
    "one layer": {"layers": [SIZES]},
    "one head": {"layers": [SIZES, {**SIZES, "heads": 1}]},
    "an odd number of heads": {"layers": [{**SIZES, "heads": 3}, {**SIZES, "heads": 5}]},
    "no heads at first": {"layers": [{**SIZES, "heads": 0}, SIZES]},
    "no heads at last": {"layers": [SIZES, {**SIZES, "heads": 0}]},
    "no neurons at first": {"layers": [{**SIZES, "intermediate_size": 0}, SIZES]},
    "no neurons at last": {"layers": [SIZES, {**SIZES, "intermediate_size": 0}]},
    "nothing left of a layer": {"layers": [SIZES, {**SIZES, "heads": 0, "intermediate_size": 0}]},
    "a projection after narrow embeddings": {"embedding_size": 16},
    "relu": {"hidden_act": "relu", "classifier_activation": "relu"},
    "gelu_new": {"hidden_act": "gelu_new", "classifier_activation": "gelu"},
    "silu": {"hidden_act": "silu", "classifier_activation": None},
    "distances": {"max_relative_distance": 9},
    "distances, every token": {"max_relative_distance": 60, "first_token_last_layer": False},
    "distances, no heads at last": {
        "max_relative_distance": 9,
        "layers": [{**SIZES, "heads": 3}, {**SIZES, "heads": 0}],
    },
    "vectors for distances": {"max_relative_distance": 9, "distance_vectors": True},
    "vectors for distances, every token": {
        "max_relative_distance": 60,
        "distance_vectors": True,
        "first_token_last_layer": False,
    },
    "vectors for distances, no heads at first": {
        "max_relative_distance": 60,
        "distance_vectors": True,
        "layers": [{**SIZES, "heads": 0}, {**SIZES, "heads": 3}],
    },
    "a classifier of tokens": {"head": "token", "first_token_last_layer": False},
    "two classes": {"num_labels": 2, "id2label": {0: "no", 1: "yes"}},
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def model(request: pytest.FixtureRequest, lean: Callable[..., Any]) -> Any:
    return lean(**request.param)


def run_onnx(proto: onnx.ModelProto, batches: list[dict[str, np.ndarray]]) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.concatenate([answers(session.run(["logits"], batch)[0], batch) for batch in batches])


build_standard = partial(build_onnx, standard=True)


def padded_left(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same rows, with their padding first."""
    lacking = (batch["attention_mask"] == 0).sum(axis=1)
    return {
        name: np.stack([np.roll(row, n) for row, n in zip(rows, lacking, strict=True)])
        for name, rows in batch.items()
    }


@pytest.mark.parametrize(
    "build", [build_onnx, build_portable_onnx, build_standard], ids=["own", "portable", "standard"]
)
def test_onnx_equals_pytorch(model: Any, batches: Callable[..., Any], build: Any) -> None:
    inputs = batches(model)
    proto = build(model)
    assert np.abs(run_onnx(proto, inputs) - torch_logits(model, inputs)).max() < 1e-4


def test_the_standard_graph_takes_padding_on_any_side(
    model: Any, batches: Callable[..., Any]
) -> None:
    inputs = batches(model)
    expected = torch_logits(model, inputs)
    proto = build_standard(model)
    found = run_onnx(proto, [padded_left(batch) for batch in inputs])
    assert np.abs(found - expected).max() < 1e-4


def test_openvino_equals_pytorch(model: Any, batches: Callable[..., Any], tmp_path: Path) -> None:
    inputs = batches(model)
    save_openvino(build_openvino(build_portable_onnx(model)), tmp_path / "model.xml")
    session = get_runtime("openvino").open_model(tmp_path / "model.xml", precision="fp32")
    assert set(session.input_names) == set(inputs[0])
    logits = np.concatenate([answers(session.run(batch)["logits"], batch) for batch in inputs])
    session.close()
    assert np.abs(logits - torch_logits(model, inputs)).max() < 1e-3


def test_the_portable_graph_is_standard_onnx(lean: Callable[..., Any]) -> None:
    proto = build_portable_onnx(lean())
    onnx.checker.check_model(proto, full_check=True)
    assert {node.domain for node in proto.graph.node} == {""}
    assert [entry.domain for entry in proto.opset_import] == [""]


def test_the_standard_graph_needs_no_new_runtime(lean: Callable[..., Any]) -> None:
    for plan in (None, QuantizationPlan()):
        proto = build_standard(lean(max_relative_distance=9, distance_vectors=True), plan)
        onnx.checker.check_model(proto, full_check=True)
        assert {node.domain for node in proto.graph.node} == {""}
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
        assert proto.ir_version == 8  # ONNX Runtime 1.17 reads 9 and below


def test_the_standard_graph_multiplies_the_same_integers(
    lean: Callable[..., Any], batches: Callable[..., Any]
) -> None:
    model = lean()
    rows = [
        {name: values[row : row + 1, : int(batch["attention_mask"][row].sum())]
         for name, values in batch.items()}
        for batch in batches(model) for row in range(len(batch["input_ids"]))
    ]  # fmt: skip
    fused, standard = (build_onnx(model, QuantizationPlan(), standard=way) for way in (False, True))
    assert "MatMulInteger" in {node.op_type for node in standard.graph.node}
    difference = run_onnx(fused, rows) - run_onnx(standard, rows)
    assert np.abs(difference).max() < 1e-3
    large = [
        [t.raw_data for t in proto.graph.initializer if len(t.raw_data) >= 1024]
        for proto in (fused, standard)
    ]
    assert large[0] == large[1]  # one file holds the weights of both


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_adds_nothing_to_the_ranges_of_the_standard_graph(
    side: str, lean: Callable[..., Any], batches: Callable[..., Any]
) -> None:
    model, rows, padded = lean(), [], []
    for batch in batches(model):
        for row in range(len(batch["input_ids"])):
            one = {name: values[row : row + 1] for name, values in batch.items()}
            length = int(one["attention_mask"].sum())
            one = {name: values[:, :length] for name, values in one.items()}
            rows.append(one)
            more = {
                name: np.pad(values, ((0, 0), (0, 7)), constant_values=name != "attention_mask")
                for name, values in one.items()
            }  # other ids than the first token's; of a table with outliers any could be the largest
            padded.append(more if side == "right" else padded_left(more))
    proto = build_standard(model, QuantizationPlan())
    assert np.abs(run_onnx(proto, padded) - run_onnx(proto, rows)).max() < 1e-5


def test_attention_is_one_node_for_onnx_runtime(lean: Callable[..., Any]) -> None:
    counts = [node.op_type for node in build_onnx(lean()).graph.node]
    assert counts.count("Attention") == 2
    assert counts.count("LayerNormalization") == 5
    assert "Softmax" not in counts


def test_a_pruned_layer_leaves_no_nodes(lean: Callable[..., Any]) -> None:
    gone = {"heads": 0, "head_size": 8, "intermediate_size": 0}
    operators = [node.op_type for node in build_onnx(lean(layers=[gone])).graph.node]
    assert operators.count("MatMul") == 1  # the classifier's
    assert "Attention" not in operators


def test_padding_does_not_change_a_logit(lean: Callable[..., Any]) -> None:
    model = lean(type_vocab_size=0)
    ids = np.array([[2, 9, 30, 3]], dtype=np.int64)
    alone = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    padded = {name: np.pad(value, ((0, 0), (0, 7))) for name, value in alone.items()}
    for build in (build_onnx, build_portable_onnx):
        proto = build(model)
        assert np.abs(run_onnx(proto, [alone]) - run_onnx(proto, [padded])).max() < 1e-5


def test_without_a_mask_the_constants_are_the_same(lean: Callable[..., Any]) -> None:
    """Two files read their weights from one."""
    model = lean(type_vocab_size=0)
    ids = np.random.default_rng(0).integers(5, 60, (3, 9))
    for plan in (None, QuantizationPlan()):
        padded, lean_one = (build_onnx(model, plan, padded=p) for p in (True, False))
        assert [t.SerializeToString() for t in padded.graph.initializer] == [
            t.SerializeToString() for t in lean_one.graph.initializer
        ]
        assert [value.name for value in lean_one.graph.input] == ["input_ids"]
        masked = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        difference = run_onnx(padded, [masked]) - run_onnx(lean_one, [{"input_ids": ids}])
        assert np.abs(difference).max() < 1e-4


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("plan", [None, QuantizationPlan()], ids=["float", "int8"])
@pytest.mark.parametrize("name", [field.name for field in fields(Folds)])
def test_every_fold_can_be_left_out_and_changes_nothing(
    lean: Callable[..., Any], name: str, plan: QuantizationPlan | None, padded: bool
) -> None:
    if plan is not None:  # as a run takes it: 8 bits saturate where the CPU has no VNNI
        plan = safe_plan(plan, processor_flags())
    model = lean(type_vocab_size=0)
    ids = np.random.default_rng(0).integers(5, 60, (3, 9))
    inputs = {"input_ids": ids}
    if padded:
        inputs["attention_mask"] = (np.arange(9) < np.array([[9], [4], [7]])).astype(np.int64)
    folded, plain = (
        build_onnx(model, plan, padded=padded, folds=folds)
        for folds in (Folds(), Folds(**{name: False}))
    )
    if plan is not None or not name.startswith("int8"):
        assert folded.SerializeToString() != plain.SerializeToString()
    difference = np.abs(run_onnx(folded, [inputs]) - run_onnx(plain, [inputs])).max()
    # Rounding falls differently where INT8 products or the word table are cut otherwise.
    assert difference < (1e-5 if plan is None else 0.1)


def test_batch_and_length_are_named_and_dynamic(lean: Callable[..., Any]) -> None:
    graph = build_onnx(lean()).graph
    for value in graph.input:
        assert [d.dim_param for d in value.type.tensor_type.shape.dim] == ["batch", "sequence"]
    assert [value.name for value in graph.output] == ["logits"]


def test_an_activation_without_an_onnx_form_is_named(lean: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="'mish'"):
        build_onnx(lean(hidden_act="mish"))
