"""A classifier of a few kilobytes, built in process: its logits are the mean of token vectors."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from runtimes.artifact import Manifest, ModelEntry, write_artifact

LABELS = ("sad", "fine", "glad")
WORDS = ("a", "film", "gorgeous", "dull", "witty", "not", "##ly", ",", ".")
VOCABULARY = {w: i for i, w in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}


def build_checkpoint(folder: Path, **config: Any) -> Path:
    """A random two-layer BERT with the tokenizer below, saved as its users save theirs."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(VOCABULARY) + 1,  # and [MASK], which the tokenizer adds
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=20,
            initializer_range=0.5,  # spreads the logits, so that classes differ
            **config,
        )
    )
    model.save_pretrained(folder)
    BertTokenizer(vocab=VOCABULARY, model_max_length=20).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face checkpoint with three classes."""
    labels = dict(enumerate(LABELS))
    return build_checkpoint(tmp_path_factory.mktemp("checkpoint"), id2label=labels)


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """`make_checkpoint(**config)` builds a checkpoint with other settings."""

    def make(**config: Any) -> Path:
        return build_checkpoint(tmp_path / "checkpoint", **config)

    return make


@pytest.fixture
def wordpiece() -> Tokenizer:
    """A BERT-like tokenizer of 13 tokens."""
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


@pytest.fixture
def token_vectors() -> np.ndarray:
    """(V, C) float32: what each token says of each class."""
    return np.random.default_rng(0).normal(size=(len(VOCABULARY), len(LABELS))).astype(np.float32)


@pytest.fixture
def write_onnx(token_vectors: np.ndarray) -> Callable[..., Path]:
    """`write_onnx(path, padded=True)` writes the classifier as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper, save

    def write(path: Path, *, padded: bool = True) -> Path:
        table = numpy_helper.from_array(token_vectors, "table")
        last = numpy_helper.from_array(np.array([2], dtype=np.int64), "last")
        middle = numpy_helper.from_array(np.array([1], dtype=np.int64), "middle")
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])
        mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["B", "T"])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", len(LABELS)])
        nodes = [helper.make_node("Gather", ["table", "input_ids"], ["vectors"])]
        if padded:
            nodes += [
                helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
                helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
                helper.make_node("Mul", ["vectors", "column"], ["kept"]),
                helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
                helper.make_node("ReduceSum", ["column", "middle"], ["count"], keepdims=0),
                helper.make_node("Div", ["sum", "count"], ["logits"]),
            ]
        else:
            nodes += [helper.make_node("ReduceMean", ["vectors", "middle"], ["logits"], keepdims=0)]
        inputs = [ids, mask] if padded else [ids]
        graph = helper.make_graph(nodes, "tiny", inputs, [logits], [table, last, middle])
        opset = [helper.make_opsetid("", 18)]
        path.parent.mkdir(parents=True, exist_ok=True)
        save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
        return path

    return write


@pytest.fixture
def write_openvino(write_onnx: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """`write_openvino(path)` writes the same classifier as OpenVINO IR."""

    def write(path: Path, **options: bool) -> Path:
        from runtimes.adapters.openvino import import_openvino

        openvino = import_openvino()
        source = write_onnx(tmp_path / "source" / "model.onnx", **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(openvino.Core().read_model(source), path, compress_to_fp16=False)
        return path

    return write


@pytest.fixture
def manifest() -> Manifest:
    """The manifest of an artifact with the one ONNX model."""
    return Manifest(
        task="text-classification",
        labels=LABELS,
        problem_type="single_label_classification",
        max_length=16,
        pad_token_id=0,
        type_ids=False,
        models=(ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32"),),
    )


@pytest.fixture
def artifact(
    tmp_path: Path, manifest: Manifest, wordpiece: Tokenizer, write_onnx: Callable[..., Path]
) -> Path:
    """A complete artifact for ONNX Runtime."""

    def populate(folder: Path) -> None:
        wordpiece.save(str(folder / "tokenizer.json"))
        write_onnx(folder / "onnx" / "model.onnx")

    write_artifact(tmp_path / "artifact", manifest, populate)
    return tmp_path / "artifact"


@pytest.fixture
def expected_logits(
    wordpiece: Tokenizer, token_vectors: np.ndarray
) -> Callable[[list[str | tuple[str, str]]], np.ndarray]:
    """The classifier in numpy: N texts or pairs to (N, C)."""

    def logits(inputs: list[str | tuple[str, str]]) -> np.ndarray:
        wordpiece.enable_truncation(16)
        rows = [wordpiece.encode(*((x,) if isinstance(x, str) else x)).ids for x in inputs]
        return np.stack([token_vectors[row].mean(axis=0) for row in rows])

    return logits


@pytest.fixture
def both_runtimes(
    tmp_path: Path,
    manifest: Manifest,
    wordpiece: Tokenizer,
    write_onnx: Callable[..., Path],
    write_openvino: Callable[..., Path],
) -> Path:
    """An artifact with a model for ONNX Runtime and one for OpenVINO."""

    def populate(folder: Path) -> None:
        wordpiece.save(str(folder / "tokenizer.json"))
        write_onnx(folder / "onnx" / "model.onnx")
        write_openvino(folder / "openvino" / "model.xml")

    models = (
        ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32"),
        ModelEntry("openvino", "openvino", "openvino/model.xml", "fp32"),
    )
    write_artifact(tmp_path / "both", dataclasses.replace(manifest, models=models), populate)
    return tmp_path / "both"
