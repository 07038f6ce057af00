"""Weights are told apart by their names, and their bytes add up to the row's size."""

from pathlib import Path

import pytest
from toy_models import save_bert, word_tokenizer
from transformers import BertForSequenceClassification

from benchmarks.subjects import Subject, model_size_bytes
from compress.evaluation.sizes import _part, size_parts, sizes_by_part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("bert.embeddings.word_embeddings.weight", "embeddings"),
        ("roberta.embeddings.LayerNorm.bias", "embeddings"),
        ("words_int8", "embeddings"),
        ("positions", "embeddings"),
        ("bert.encoder.layer.3.attention.self.query.weight", "layers"),
        ("distilbert.transformer.layer.0.ffn.lin1.weight", "layers"),
        ("model.layers.2.mlp.Wi.weight", "layers"),
        ("albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", "layers"),
        ("layers.0.attention.qkv.weight_int8", "layers"),
        ("bert.pooler.dense.weight", "head"),
        ("classifier.dense.weight_int8", "head"),
        ("qa_outputs.bias", "head"),
    ],
)
def test_a_weight_belongs_to_a_part(name: str, part: str) -> None:
    assert _part(name) == part


def test_parts_of_a_checkpoint_are_its_bytes(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(["good", "bad"])
    save_bert(tmp_path, BertForSequenceClassification, tokenizer)
    subject = Subject("a", "a", "checkpoint", tmp_path, "pytorch")
    parts = size_parts(subject)
    hidden, positions = 32, tokenizer.model_max_length
    rows = len(tokenizer) + positions + 2 + 2  # words, positions, types, and the norm's two
    assert parts["embeddings"] == 4 * hidden * rows
    assert parts["head"] == 4 * (hidden * hidden + hidden + 2 * hidden + 2)
    assert parts["tokenizer"] == (tmp_path / "tokenizer.json").stat().st_size
    whole = sum(size for name, size in parts.items() if name != "tokenizer")
    assert whole == model_size_bytes(subject)
    export = Subject("b", "b", "export", tmp_path, "onnxruntime")
    assert list(sizes_by_part([subject, export])) == ["a"]
