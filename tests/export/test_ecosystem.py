"""Artifacts open in other libraries as they are: names of files, configurations, weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

import export.embedded
from export.ecosystem import family_config
from export.onnx import build_onnx
from export.package import export_artifact
from export.quantization import QuantizationPlan
from runtimes import load
from runtimes.artifact import read_manifest
from runtimes.hf_config import read_hf_config

CONFIGS: dict[str, dict[str, Any]] = {
    "text-classification": {},
    "token-classification": {"head": "token", "first_token_last_layer": False},
    "question-answering": {
        "head": "span",
        "first_token_last_layer": False,
        "num_labels": 2,
        "id2label": {0: "LABEL_0", 1: "LABEL_1"},
    },
    "sentence-embedding": {
        "head": "embedding",
        "first_token_last_layer": False,
        "normalized": True,
    },
}
OUTPUTS = {
    "text-classification": {"logits": ["batch", 3]},
    "token-classification": {"logits": ["batch", "sequence", 3]},
    "question-answering": {
        "start_logits": ["batch", "sequence"],
        "end_logits": ["batch", "sequence"],
    },
    "sentence-embedding": {
        "last_hidden_state": ["batch", "sequence", 32],
        "sentence_embedding": ["batch", 32],
    },
}
CLASSES = {
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "question-answering": "BertForQuestionAnswering",
    "sentence-embedding": "BertModel",
}


@pytest.fixture
def artifact(
    lean: Callable[..., Any], tokenizer: Any, texts: list[str], tmp_path: Path
) -> Callable[..., Path]:
    """`artifact(task, plan, **config)` exports a model of a task; in float, for both runtimes."""

    def make(task: str, plan: QuantizationPlan | None = None, **config: Any) -> Path:
        pairs = task == "question-answering"
        export_artifact(
            tmp_path / task,
            module=lean(**{**CONFIGS[task], **config}),
            tokenizer=tokenizer,
            plan=plan,
            max_length=16,
            runtimes=None if plan is None else ("onnxruntime",),
            checks=[("a b", text) for text in texts] if pairs else texts,
        )
        return tmp_path / task

    return make


@pytest.mark.parametrize("task", CONFIGS)
def test_transformers_knows_what_it_is(artifact: Callable[..., Path], task: str) -> None:
    folder = artifact(task)
    config = AutoConfig.from_pretrained(folder)
    assert config.model_type == "bert"
    assert config.architectures == [CLASSES[task]]
    assert config.num_hidden_layers == 2
    assert config.vocab_size == read_sizes(folder)["vocab_size"]
    assert config.max_position_embeddings == 40
    if task == "text-classification":
        assert config.id2label == {0: "sad", 1: "fine", 2: "glad"}
        assert config.label2id["glad"] == 2
    assert "lean" not in (folder / "config.json").read_text()
    assert read_hf_config(folder).task == task


@pytest.mark.parametrize("task", CONFIGS)
def test_outputs_are_called_what_other_libraries_read(
    artifact: Callable[..., Path], task: str
) -> None:
    folder = artifact(task)
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    assert {output.name: output.shape for output in session.get_outputs()} == OUTPUTS[task]
    core = pytest.importorskip("openvino").Core()
    found = core.read_model(folder / "openvino_model.xml").outputs
    assert [port.any_name for port in found] == list(OUTPUTS[task])


@pytest.mark.parametrize("task", CONFIGS)
def test_both_graphs_and_both_runtimes_answer_alike(
    artifact: Callable[..., Path], texts: list[str], task: str
) -> None:
    folder = artifact(task)
    asked = [("a b", text) for text in texts] if task == "question-answering" else texts
    found = []
    for runtime in ("onnxruntime", "openvino"):
        for alone in (True, False):
            with load(folder, runtime=runtime, batch_invariant=alone) as answer:
                outputs = answer.outputs(asked)
                found.append(np.concatenate([np.atleast_2d(x) for x in outputs.logits]))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=0.05)  # OpenVINO may take bf16


def test_the_tokenizer_is_the_same_elsewhere(
    artifact: Callable[..., Path], texts: list[str]
) -> None:
    folder = artifact("text-classification")
    elsewhere = AutoTokenizer.from_pretrained(folder)
    plain = PreTrainedTokenizerFast.from_pretrained(folder)
    assert elsewhere.model_max_length == plain.model_max_length == 16
    with load(folder) as classify:
        for text in texts:
            ids = classify.encode([text])["input_ids"][0].tolist()
            assert elsewhere(text, truncation=True)["input_ids"] == ids
            assert plain(text, truncation=True)["input_ids"] == ids


def test_a_tokenizer_of_no_class_is_called_what_transformers_4_calls_it(
    lean: Callable[..., Any], tokenizer: Any, texts: list[str], tmp_path: Path
) -> None:
    plain = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, pad_token="[PAD]", padding_side="left"
    )
    export_artifact(
        tmp_path / "a", module=lean(), tokenizer=plain, max_length=16, checks=texts, runtimes=()
    )
    config = json.loads((tmp_path / "a" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["padding_side"] == "right"  # rows are read up to their length
    assert "extra_special_tokens" not in config


def test_javascript_needs_no_arguments(
    artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = artifact("text-classification", QuantizationPlan())
    said = json.loads((folder / "config.json").read_text())["transformers.js_config"]
    assert said == {"dtype": "fp32"}
    monkeypatch.setattr(export.embedded, "_MOST_EMBEDDED", 1000)
    folder = artifact("text-classification", QuantizationPlan())
    said = json.loads((folder / "config.json").read_text())["transformers.js_config"]
    assert said == {"dtype": "fp32", "use_external_data_format": {"model.onnx": 1}}


def test_weights_are_on_the_disk_once(
    artifact: Callable[..., Path], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = artifact("text-classification", QuantizationPlan())
    graph = onnx.load(folder / "onnx" / "model.onnx", load_external_data=False)
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    lean_graph = onnx.load(folder / "onnx" / "unpadded.onnx", load_external_data=False)
    pointed = [t for t in lean_graph.graph.initializer if t.external_data]
    assert pointed
    assert all(len(tensor.raw_data) < 1024 for tensor in lean_graph.graph.initializer)
    for tensor in pointed:
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"] == "model.onnx"
        assert int(place["offset"]) % 64 == 0  # as aligned as memory that libraries allocate
    expected = answers(folder, texts)
    monkeypatch.setattr(export.embedded, "_MOST_EMBEDDED", 1000)
    folder = artifact("text-classification", QuantizationPlan())
    assert (folder / "onnx" / "model.onnx_data").is_file()
    assert answers(folder, texts) == expected
    manifest = read_manifest(folder)
    assert {m.weights for m in manifest.models if m.runtime == "onnxruntime"} == {
        ("onnx/model.onnx_data",)
    }


def test_graphs_of_other_weights_do_not_share(lean: Callable[..., Any], tmp_path: Path) -> None:
    graphs = build_onnx(lean()), build_onnx(lean(seed=1), padded=False)
    with pytest.raises(RuntimeError, match="do not share"):
        export.embedded.save_embedded(graphs[0], tmp_path / "model.onnx", {"lean.onnx": graphs[1]})


def test_a_family_keeps_its_names_and_layers_of_one_size_are_told(
    lean: Callable[..., Any],
) -> None:
    source = {
        "model_type": "distilbert", "dim": 32, "n_heads": 4, "n_layers": 6, "hidden_dim": 128,
    }  # fmt: skip
    same = {"heads": 4, "head_size": 8, "intermediate_size": 24}
    model = lean(source_config=source, layers=[same, same, same])
    config = family_config(model.config)
    assert (config.n_layers, config.n_heads, config.hidden_dim, config.dim) == (3, 4, 24, 32)
    fewer = {"heads": 2, "head_size": 8, "intermediate_size": 24}
    model = lean(source_config=source, layers=[same, fewer])
    config = family_config(model.config)
    assert (config.n_layers, config.n_heads, config.hidden_dim) == (2, 4, 128)
    none = {"heads": 4, "head_size": 8, "intermediate_size": 0}
    model = lean(source_config=source, layers=[none])
    assert family_config(model.config).hidden_dim == 1  # nobody reads a config with a width of 0
    model = lean(source_config={"model_type": "roberta", "hidden_size": 32}, pad_token_id=1)
    config = family_config(model.config)
    assert config.max_position_embeddings == 42  # rows that no token has, which lean ones leave out
    assert config.architectures == ["RobertaForSequenceClassification"]


def read_sizes(folder: Path) -> dict[str, Any]:
    sizes: dict[str, Any] = json.loads((folder / "edgepress.json").read_text())["encoder"]
    return sizes


def answers(folder: Path, texts: list[str]) -> Any:
    found = []
    for alone in (True, False):
        with load(folder, runtime="onnxruntime", batch_invariant=alone) as classify:
            found.append(classify(texts))
    return found
