"""Sentence vectors: pooled as sentence-transformers does it, from folders that it wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.errors import ModelError
from runtimes.loading import open_checkpoint
from runtimes.pooling import Pooling, pooled, read_pooling
from runtimes.tasks import sentence_embedding

MEAN = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}


def write(folder: Path, *kinds: str, pooling: dict[str, Any] | None = None) -> Path:
    """What sentence-transformers writes beside a Transformer."""
    modules = []
    for index, kind in enumerate(kinds):
        path = f"{index}_{kind}" if index else ""
        modules.append(
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.{kind}",
            }
        )
        if kind == "Pooling":
            (folder / path).mkdir()
            (folder / path / "config.json").write_text(json.dumps(pooling or MEAN))
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_poolings_are_read(tmp_path: Path) -> None:
    assert read_pooling(tmp_path) is None
    folder = write(tmp_path, "Transformer", "Pooling", "Normalize")
    assert read_pooling(folder) == Pooling("mean", True)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
    ],
)
def test_poolings_of_every_spelling(pooling: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert read_pooling(write(tmp_path, "Transformer", "Pooling", pooling=pooling)) == Pooling(
        expected, False
    )


def test_what_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Dense"):
        read_pooling(write(tmp_path, "Transformer", "Dense"))
    both = {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    (tmp_path / "b").mkdir()
    with pytest.raises(ModelError, match="pooling_mode_max_tokens"):
        read_pooling(write(tmp_path / "b", "Transformer", "Pooling", pooling=both))


def test_padding_does_not_count() -> None:
    hidden = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    own = pooled(hidden, mask, Pooling("mean", False))
    np.testing.assert_allclose(own[0], hidden[0, :3].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(own[1:], pooled(hidden[1:], None, Pooling("mean", False)), atol=1e-6)
    unit = pooled(hidden, mask, Pooling("cls", True))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


def test_a_folder_of_sentence_transformers_is_opened(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sun", "rises", "sets")
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
        )
    ).eval()
    model.save_pretrained(tmp_path)
    tokenizer = BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(tmp_path)
    write(tmp_path, "Transformer", "Pooling", "Normalize")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    texts = ["the sun", "the sun rises the sun sets", "sets"]
    with torch.inference_mode():
        rows = tokenizer(texts, padding=True, truncation=True, max_length=6, return_tensors="pt")
        hidden = model(**rows).last_hidden_state
    weights = rows["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1))
    with open_checkpoint(tmp_path) as embed:
        vectors = embed(texts)
        assert len(embed([])) == 0
        assert vectors.shape == (3, 32)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        np.testing.assert_allclose(embed(texts[0]), vectors[0], atol=1e-5)
        with pytest.raises(TypeError, match="list of texts"):
            embed([("a", "b")])


def test_lines() -> None:
    vector = np.array([0.5, -0.25], dtype=np.float32)
    assert sentence_embedding.lines("text", vector) == [["0.50000 -0.25000", "text"]]
    assert sentence_embedding.record("text", vector)["embedding"] == [0.5, -0.25]
