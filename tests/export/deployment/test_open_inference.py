"""Repositories of model servers hold what their configuration says, and answer as `load` does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from environments import UnavailableError, run_python
from tokenizers import Tokenizer

from export.deployment.deploy import deploy
from runtimes import load

MODELS: dict[str, dict[str, Any]] = {
    "BertForSequenceClassification": {
        "num_labels": 3,
        "id2label": {0: "sad", 1: "fine", 2: "glad"},
    },
    "BertForTokenClassification": {"num_labels": 3, "id2label": {0: "O", 1: "B-sky", 2: "I-sky"}},
}
READER = Path(__file__).parent / "read_pbtxt.py"
TYPES = {"TYPE_INT64": "tensor(int64)", "TYPE_FP32": "tensor(float)"}


@pytest.fixture(params=MODELS)
def source(request: pytest.FixtureRequest, artifact_of: Callable[..., Path]) -> Path:
    """In float, where padding changes nothing at all."""
    return artifact_of(request.param, "fp32", **MODELS[request.param])


@pytest.fixture
def models(source: Path, tmp_path: Path) -> Path:
    return deploy(source, tmp_path / "models", layout="open-inference", name="mine").path


def rows(models: Path, texts: list[str], *, left: bool) -> list[dict[str, Any]]:
    """Each text on its own, padded by three."""
    tokenizer = Tokenizer.from_file(str(models / "tokenizer.json"))
    found = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        padding = ((3, 0) if left else (0, 3),)
        row = np.pad(np.array(ids), *padding)[None]
        mask = np.pad(np.ones(len(ids), np.int64), *padding)[None]
        found.append(
            {"input_ids": row, "attention_mask": mask, "token_type_ids": np.zeros_like(row)}
        )
    return found


def expected(source: Path, runtime: str, texts: list[str]) -> list[Any]:
    """What `load` says of the texts: (C,) logits each, or (T, C)."""
    with load(source, runtime=runtime) as model:
        return list(model.outputs(texts, 1).logits)


def compare(found: Any, wanted: Any, mask: Any) -> None:
    found = found[0][mask[0] > 0] if np.ndim(wanted) > 1 else found[0]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
def test_triton_gets_a_graph_that_is_right_for_any_padding(
    left: bool, models: Path, source: Path, texts: list[str]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(models / "triton" / "mine" / "1" / "model.onnx")
    for batch, wanted in zip(
        rows(models, texts, left=left), expected(source, "onnxruntime", texts), strict=True
    ):
        [found] = session.run(None, {each.name: batch[each.name] for each in session.get_inputs()})
        compare(found, wanted, batch["attention_mask"])


def test_openvino_model_server_is_told_to_be_exact(
    models: Path, source: Path, texts: list[str]
) -> None:
    import openvino

    folder = models / "ovms"
    [listed] = json.loads((folder / "config.json").read_text())["model_config_list"]
    config = listed["config"]
    assert config["name"] == "mine"
    assert config["plugin_config"] == {"INFERENCE_PRECISION_HINT": "f32"}
    [version] = (folder / config["base_path"]).iterdir()  # relative to the configuration
    assert version.name == "1"
    assert {path.name for path in version.iterdir()} == {"model.xml", "model.bin"}
    compiled = openvino.Core().compile_model(version / "model.xml", "CPU", config["plugin_config"])
    names = {port.get_any_name() for port in compiled.inputs}
    for batch, wanted in zip(
        rows(models, texts, left=False), expected(source, "openvino", texts), strict=True
    ):
        answer = compiled({name: batch[name] for name in names})
        compare(answer[compiled.outputs[0]], wanted, batch["attention_mask"])


def test_one_runtime_has_one_repository(source: Path, tmp_path: Path) -> None:
    for runtime, name in {"onnxruntime": "triton", "openvino": "ovms"}.items():
        target = tmp_path / runtime
        done = deploy(source, target, layout="open-inference", name="mine", runtime=runtime)
        assert {path.name for path in target.iterdir()} == {name, "README.md", "tokenizer.json"}
        assert name[:5] in done.then


@pytest.mark.minutes
def test_triton_reads_its_configuration(models: Path) -> None:
    """By the message that NVIDIA's client has it in, and protobuf's own parser."""
    import onnxruntime

    folder = models / "triton" / "mine"
    try:
        found = run_python("tritonclient", READER, str(folder / "config.pbtxt"), given=None)
    except UnavailableError as error:
        pytest.skip(str(error))
    assert found["name"] == folder.name
    assert found["backend"] == "onnxruntime"
    assert found["maxBatchSize"] == 64
    assert found["instanceGroup"] == [{"kind": "KIND_CPU", "count": 1}]
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx")
    for listed, there in (
        (found["input"], session.get_inputs()),
        (found["output"], session.get_outputs()),
    ):
        assert [each["name"] for each in listed] == [each.name for each in there]
        for one, tensor in zip(listed, there, strict=True):
            assert TYPES[one["dataType"]] == tensor.type
            sizes = [size if isinstance(size, int) else -1 for size in tensor.shape]
            assert sizes[0] == -1  # the batch, which Triton adds
            assert [int(size) for size in one["dims"]] == sizes[1:]
