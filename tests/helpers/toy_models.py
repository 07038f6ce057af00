"""Models of a few kilobytes with weights that matter, for tests of several folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def scramble(model: Any, seed: int = 0) -> Any:
    """Give every parameter a value that matters: fresh biases are 0 and fresh norms are 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(noise + 1.0 if is_norm else noise)
    return model.eval()


def word_tokenizer(words: Sequence[str], length: int = 48) -> BertTokenizer:
    """A WordPiece tokenizer that knows some words."""
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *words))}
    return BertTokenizer(vocab=vocabulary, model_max_length=length)


def save_bert(
    folder: Path, kind: Any, tokenizer: Any, *, sharpened: str | None = None, **config: Any
) -> Path:
    """Save a BERT of two layers with random weights.

    Args:
        folder: Where to.
        kind: Its class, such as `BertForMaskedLM`.
        tokenizer: Saved beside it; it has as many positions as this keeps tokens.
        sharpened: Name of a layer whose weights are made so large that answers depend on tokens.
        config: Other settings.
    """
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": tokenizer.model_max_length,
    }
    model = kind(BertConfig(**{**sizes, **config}))
    if sharpened is not None:
        with torch.no_grad():
            model.get_submodule(sharpened).weight *= 20
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
