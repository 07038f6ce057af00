"""Lean encoders of a few kilobytes with weights that matter, and a tokenizer for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from toy_models import scramble
from transformers import BertTokenizer

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.heads.registry import build
from compress.encoder.modules import LeanEncoderWithHead

LAYERS = [
    {"heads": 4, "head_size": 8, "intermediate_size": 40},
    {"heads": 3, "head_size": 8, "intermediate_size": 24},
]


def build_lean(seed: int = 0, **changes: Any) -> LeanEncoderWithHead:
    settings: dict[str, Any] = {
        "vocab_size": 60,
        "embedding_size": 32,
        "hidden_size": 32,
        "layers": LAYERS,
        "max_position_embeddings": 40,
        "num_labels": 3,
        "id2label": {0: "sad", 1: "fine", 2: "glad"},
    }
    model: LeanEncoderWithHead = scramble(build(LeanEncoderConfig(**{**settings, **changes})), seed)
    return model


@pytest.fixture
def lean() -> Callable[..., LeanEncoderWithHead]:
    """`lean(seed=0, **config)` builds an encoder with token types and uneven layers."""
    return build_lean


@pytest.fixture
def batches() -> Callable[..., list[dict[str, np.ndarray]]]:
    """`batches(model)`: padded batches and a single row, of what the model takes."""

    def make(model: Any, seed: int = 0) -> list[dict[str, np.ndarray]]:
        rng = np.random.default_rng(seed)
        result = []
        for lengths in ([9, 4, 6], [5], [40, 1, 17, 30]):
            mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
            ids = rng.integers(1, model.config.vocab_size, mask.shape) * mask
            batch = {"input_ids": ids, "attention_mask": mask}
            if model.config.type_vocab_size:
                types = np.arange(mask.shape[1]) >= np.array(lengths)[:, None] // 2
                batch["token_type_ids"] = types.astype(np.int64) * mask
            result.append(batch)
        return result

    return make


def marked(model: Any, seed: int = 0, rows: int = 8, longest: int = 30) -> dict[str, np.ndarray]:
    """A padded batch of rows that hold one of the tokens 1, 2 and 3, their number the label."""
    rng = np.random.default_rng([seed, rows])
    lengths = rng.integers(1, longest + 1, rows)
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    ids = rng.integers(4, model.config.vocab_size, mask.shape) * mask
    ids[np.arange(rows), rng.integers(lengths)] = 1 + rng.integers(3, size=rows)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}


def labels_of(batch: dict[str, np.ndarray]) -> np.ndarray:
    """(B,) classes of `marked` rows."""
    ids = batch["input_ids"]
    return np.where((ids > 0) & (ids < 4), ids, 0).max(axis=1) - 1


@dataclass(frozen=True)
class Certain:
    """An encoder that hardly doubts its answers, so that rounding decides none of them."""

    model: LeanEncoderWithHead

    marked = staticmethod(marked)
    labels_of = staticmethod(labels_of)


@pytest.fixture(scope="session")
def certain() -> Certain:
    """It tells which of three tokens stands in a text, wherever it stands."""
    model = build_lean()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(250):
        batch = marked(model, step, rows=32, longest=12 if step < 150 else 30)
        logits = model(**{name: torch.from_numpy(value) for name, value in batch.items()}).logits
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels_of(batch))).backward()
        optimizer.step()
        optimizer.zero_grad()
    return Certain(model)


@pytest.fixture
def tokenizer() -> BertTokenizer:
    """A WordPiece tokenizer whose ids all lean encoders here have."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    return BertTokenizer(vocab={w: i for i, w in enumerate(words)}, model_max_length=40)


@pytest.fixture
def texts() -> list[str]:
    """Two dozen texts of different lengths."""
    rng = np.random.default_rng(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [" ".join(rng.choice(list(letters), size=rng.integers(1, 12))) for _ in range(24)]
