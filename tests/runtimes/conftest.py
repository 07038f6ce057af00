"""A classifier of a few kilobytes, built in process: its logits are the mean of token vectors."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_artifact import (
    LABELS,
    VOCABULARY,
    describe_tiny,
    make_tokenizer,
    make_vectors,
    save_onnx,
)
from tokenizers import Tokenizer

from runtimes.artifact import Manifest, ModelEntry, write_artifact


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
    return make_tokenizer()


@pytest.fixture
def token_vectors() -> np.ndarray:
    """(V, C) float32: what each token says of each class."""
    return make_vectors()


@pytest.fixture
def write_onnx(token_vectors: np.ndarray) -> Callable[..., Path]:
    """`write_onnx(path, padded=True)` writes the classifier as an ONNX file."""
    return lambda path, *, padded=True: save_onnx(path, token_vectors, padded=padded)


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
    return describe_tiny()


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
        ModelEntry(
            "openvino", "openvino", "openvino/model.xml", "fp32", weights=("openvino/model.bin",)
        ),
    )
    write_artifact(tmp_path / "both", dataclasses.replace(manifest, models=models), populate)
    return tmp_path / "both"
