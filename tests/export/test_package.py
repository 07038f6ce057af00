"""The artifact that comes out: both runtimes open it, it says what it is, and it is whole."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from export import onnx as graphs
from export.package import export_artifact, republish
from export.parity import check_parity, torch_logits
from export.quantization import QuantizationPlan
from export.targets.registry import target_names
from runtimes import load
from runtimes.artifact import read_manifest, verify
from runtimes.errors import ArtifactError, ModelError
from runtimes.hf_config import read_hf_config


@pytest.fixture
def export(
    lean: Callable[..., Any], tokenizer: Any, texts: list[str], tmp_path: Path
) -> Callable[..., Any]:
    """`export(plan, target=..., **config)` exports into `tmp_path/"artifact"`."""

    def run(
        plan: QuantizationPlan | None,
        target: str = "artifact",
        runtimes: tuple[str, ...] | None = None,
        **config: Any,
    ) -> Any:
        return export_artifact(
            tmp_path / target,
            module=lean(**config),
            tokenizer=tokenizer,
            plan=plan,
            max_length=16,
            calibration=texts[:6],
            checks=texts,
            lineage=[{"stage": "distill", "layers": [0, 1]}],
            runtimes=runtimes,
        )

    return run


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("plan", [None, QuantizationPlan()], ids=["fp32", "int8"])
def test_both_runtimes_answer_like_pytorch(
    export: Callable[..., Any],
    lean: Callable[..., Any],
    texts: list[str],
    tmp_path: Path,
    runtime: str,
    plan: QuantizationPlan | None,
) -> None:
    export(plan)
    precision = "fp32" if plan is None else "int8"
    pairs: list[Any] = [(text, "z y x") for text in texts]
    with load(tmp_path / "artifact", runtime=runtime) as classify:
        assert classify.session.runtime == runtime
        encoded = classify.encode([*texts, *pairs])
        logits = classify.logits([*texts, *pairs])
        answers = classify(texts)
    assert encoded["input_ids"].shape[1] <= 16
    assert {e.precision for e in read_manifest(tmp_path / "artifact").models} == {precision}
    expected = torch_logits(lean(), [encoded])
    if plan is None and runtime == "onnxruntime":  # OpenVINO may run float models in bf16
        assert np.abs(logits - expected).max() < 1e-4
    assert (logits.argmax(-1) == expected.argmax(-1)).mean() >= 0.85
    assert {answer["label"] for answer in answers} <= {"sad", "fine", "glad"}


def test_a_float_scheme_gives_that_runtime_a_float_file(
    export: Callable[..., Any], lean: Callable[..., Any], texts: list[str], tmp_path: Path
) -> None:
    exported = export(QuantizationPlan({"openvino": "float"}))
    entries = {entry.runtime: entry for entry in exported.manifest.models}
    assert entries["onnxruntime"].precision == "int8"
    assert "avx512_vnni" in entries["onnxruntime"].instruction_sets
    assert entries["openvino"].precision == "auto"  # bf16 or fp32, as the library picks
    assert entries["openvino"].instruction_sets == ("any",)
    compared = {(entry.runtime, entry.precision) for entry in exported.parity}
    assert compared == {("onnxruntime", "fp32"), ("openvino", "fp32"), ("onnxruntime", "int8")}
    with load(tmp_path / "artifact", runtime="openvino") as classify:
        assert classify.session.precision in ("fp32", "bf16")
        expected = torch_logits(lean(), [classify.encode(texts)])
        assert np.abs(classify.logits(texts) - expected).max() < 0.1
    assert QuantizationPlan.from_json(exported.manifest.quantization).schemes["openvino"] == "float"

    exported = export(QuantizationPlan({"onnxruntime": "float"}), "other")
    assert [e.precision for e in exported.manifest.models] == [*3 * ["fp32"], "int8"]
    for name in ("model", "padded", "unpadded"):
        proto = onnx.load(tmp_path / "other" / "onnx" / f"{name}.onnx")
        integers = {"DynamicQuantizeMatMul", "MatMulInteger"}
        assert not integers & {node.op_type for node in proto.graph.node}


def test_the_manifest_says_what_it_is(export: Callable[..., Any], tmp_path: Path) -> None:
    plan = QuantizationPlan(reduce_range=True, calibration_texts=6)
    exported = export(plan)
    manifest = read_manifest(tmp_path / "artifact")
    verify(tmp_path / "artifact", manifest)
    assert manifest == exported.manifest
    assert manifest.labels == ("sad", "fine", "glad")
    assert manifest.problem_type == "single_label_classification"
    assert manifest.max_length == 16
    assert manifest.pad_token_id == 0
    assert manifest.type_ids
    assert manifest.quantization == plan.to_json() | {"float_layers": []}
    assert manifest.lineage == ({"stage": "distill", "layers": [0, 1]},)
    assert [(entry.runtime, entry.variant) for entry in manifest.models] == [
        ("onnxruntime", "padded"),
        ("onnxruntime", "unpadded"),
        ("onnxruntime", "portable"),
        ("openvino", "padded"),
    ]
    for entry in manifest.models:
        mask = () if entry.variant == "unpadded" else ("attention_mask",)
        assert entry.inputs == ("input_ids", *mask, "token_type_ids")
        assert entry.instruction_sets == ("any",)
    assert set(manifest.files) == {
        "checks.npz",
        "config.json",
        "edgepress.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "onnx/model.onnx",
        "onnx/unpadded.onnx",
        "onnx/padded.onnx",
        "openvino_model.xml",
        "openvino_model.bin",
    }
    measured = [(e["runtime"], e["precision"]) for e in manifest.metrics["parity"]]
    assert measured == [
        *3 * [("onnxruntime", "fp32")],
        *3 * [("onnxruntime", "int8")],
        ("openvino", "fp32"),
        ("openvino", "int8"),
    ]
    assert all(entry["texts"] == 24 for entry in manifest.metrics["parity"])
    assert [p.to_json() for p in exported.parity] == manifest.metrics["parity"]


@pytest.mark.parametrize("runtime", target_names())
def test_an_artifact_may_hold_files_for_one_runtime_alone(
    export: Callable[..., Any], tmp_path: Path, runtime: str
) -> None:
    manifest = export(QuantizationPlan(), runtimes=(runtime,)).manifest
    assert {entry.runtime for entry in manifest.models} == {runtime}
    models = {name for name in manifest.files if not name.endswith((".json", ".npz"))}
    assert models == set().union(*(manifest.files_of(entry) for entry in manifest.models))
    with load(tmp_path / "artifact") as classify:
        assert classify.session.runtime == runtime
        assert classify("a b c")[0]["label"] in manifest.labels


def test_without_token_types_none_are_asked_for(export: Callable[..., Any], tmp_path: Path) -> None:
    manifest = export(None, type_vocab_size=0).manifest
    assert not manifest.type_ids
    assert {entry.inputs for entry in manifest.models} == {
        ("input_ids", "attention_mask"),
        ("input_ids",),
    }
    assert manifest.quantization == {}
    with load(tmp_path / "artifact") as classify:
        assert classify("a b c")[0]["label"] in manifest.labels


def test_a_wrong_graph_is_refused_and_nothing_is_written(
    export: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = graphs.build_onnx

    def wrong(module: Any, plan: Any = None, **options: Any) -> onnx.ModelProto:
        proto = right(module, plan, **options)
        for tensor in proto.graph.initializer:
            if tensor.name == "layers.1.feed_forward.down.negated.bias":
                values = onnx.numpy_helper.to_array(tensor) * 0
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        return proto

    monkeypatch.setattr(graphs, "build_onnx", wrong)
    with pytest.raises(ModelError, match=r"padded\.onnx differs from PyTorch by .* on onnxruntime"):
        export(None)
    assert list(tmp_path.iterdir()) == []


def test_nan_is_no_parity(lean: Callable[..., Any], tmp_path: Path, batches: Any) -> None:
    model = lean()
    inputs = batches(model)
    onnx.save(graphs.build_onnx(model), tmp_path / "model.onnx")
    expected = torch_logits(model, inputs)
    expected[0, 0] = np.nan
    with pytest.raises(ModelError, match="differs"):
        check_parity(tmp_path / "model.onnx", "onnxruntime", "fp32", inputs, expected)


def test_of_large_logits_more_may_differ(
    lean: Callable[..., Any], tmp_path: Path, batches: Any
) -> None:
    """In single precision, scores of thousands have no four digits after the point."""
    model = lean()
    inputs = batches(model)
    for factor in (1.0, 1e4):
        with torch.no_grad():
            for parameter in model.classifier.parameters():
                parameter.mul_(factor)
        onnx.save(graphs.build_onnx(model), tmp_path / "model.onnx")
        expected = torch_logits(model, inputs)
        check = partial(check_parity, tmp_path / "model.onnx", "onnxruntime", "fp32", inputs)
        largest = float(np.abs(expected).max())
        assert (largest > 1000) == (factor > 1)
        if factor > 1:
            assert check(expected + 0.1).max_abs_delta > 0.05
        with pytest.raises(ModelError, match="differs from PyTorch"):
            check(expected + 0.01 * max(1.0, largest))


def test_an_export_replaces_an_earlier_one_and_nothing_else(
    export: Callable[..., Any], tmp_path: Path
) -> None:
    export(None)
    export(None, num_labels=2, id2label={0: "no", 1: "yes"})
    assert read_manifest(tmp_path / "artifact").labels == ("no", "yes")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="not touched"):
        export(None, target="other")
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "other"]


def test_republishing_adds_figures_and_a_card(export: Callable[..., Any], tmp_path: Path) -> None:
    first = export(None).manifest
    target = tmp_path / "published"
    for accuracy in (91.0, 92.0):  # the second time it replaces what is there
        metrics = {"rows": [{"accuracy": accuracy}]}
        republish(tmp_path / "artifact", target, first, metrics, "# A card\n")
    manifest = read_manifest(target)
    verify(target, manifest)
    assert manifest.metrics["rows"] == [{"accuracy": 92.0}]
    assert manifest.metrics["parity"] == first.metrics["parity"]
    assert (target / "README.md").read_text() == "# A card\n"
    assert "README.md" in manifest.files
    model = "onnx/model.onnx"
    assert manifest.files[model] == first.files[model]
    assert "README.md" not in read_manifest(tmp_path / "artifact").files


def test_the_tokenizer_keeps_its_limit(export: Callable[..., Any], tmp_path: Path) -> None:
    export(None)
    assert read_hf_config(tmp_path / "artifact").max_length == 16
    config = json.loads((tmp_path / "artifact" / "tokenizer_config.json").read_text())
    assert str(tmp_path) not in json.dumps(config)
