"""A predictor of every task, of a few kilobytes, with inputs that it has answers to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from toy_models import save_bert, word_tokenizer

from runtimes import open_checkpoint
from runtimes.pipeline import Predictor

__all__ = ["ASKED", "open_toy"]

WORDS = ("the", "sun", "rises", "sets", "in", "east", "west", "cold", "who", "it", "##s", ",")
TEXTS = ["the sun rises in the east", "cold", "the west sets, cold and cold", ""]
TAGS = {0: "O", 1: "B-sky", 2: "I-sky"}

ASKED: dict[str, list[Any]] = {
    "text-classification": TEXTS,
    "pairs": [{"text": text, "text_pair": "it sets"} for text in TEXTS],
    "token-classification": TEXTS,
    "question-answering": [
        {"question": "who rises", "context": "the sun rises in the east"},
        {"question": "who", "context": "cold " * 80 + "sun"},
    ],
    "multiple-choice": [
        {"prompt": "the sun rises", "choices": ["in the east", "west", "cold"]},
        {"prompt": "it sets", "choices": ["in the west", "cold"]},
    ],
    "fill-mask": ["the sun [MASK] in the east", "the [MASK] [MASK]"],
    "sentence-embedding": TEXTS,
}
"""By task, and for pairs of texts: inputs as they stand in JSON."""

_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "text-classification": ("BertForSequenceClassification", {"num_labels": 3}),
    "pairs": ("BertForSequenceClassification", {"num_labels": 2}),
    "token-classification": (
        "BertForTokenClassification",
        {"id2label": TAGS, "label2id": {name: index for index, name in TAGS.items()}},
    ),
    "question-answering": ("BertForQuestionAnswering", {}),
    "multiple-choice": ("BertForMultipleChoice", {}),
    "fill-mask": ("BertForMaskedLM", {}),
    "sentence-embedding": ("BertModel", {}),
}


def open_toy(kind: str, folder: Path) -> Predictor:
    """Save a checkpoint of random weights, and open it in PyTorch.

    Args:
        kind: One of `ASKED`.
        folder: Where to.
    """
    name, config = _KINDS[kind]
    model: Callable[..., Any] = getattr(transformers, name)
    save_bert(folder, model, word_tokenizer(WORDS), initializer_range=0.5, **config)
    if kind == "sentence-embedding":
        parts = [("Transformer", ""), ("Pooling", "1_Pooling")]
        written = [
            {"type": f"sentence_transformers.models.{name}", "path": path} for name, path in parts
        ]
        (folder / "modules.json").write_text(json.dumps(written))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return open_checkpoint(folder, threads=1)
