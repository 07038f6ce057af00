"""Encoders that start from nothing: BERT in small sizes, with a vocabulary learnt from the text.

The sizes are those of Turc et al. 2019, https://arxiv.org/abs/1908.08962.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["SIZES", "is_size", "new_config", "train_tokenizer"]

SIZES = {
    "bert-tiny": (2, 128),
    "bert-mini": (4, 256),
    "bert-small": (4, 512),
    "bert-medium": (8, 512),
}
"""Layers and hidden size; a head has 64 of it, and the feed-forward network four times as much."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def is_size(base: str) -> bool:
    """Return whether a base model is a size to start from, rather than a checkpoint."""
    return base in SIZES and not Path(base).exists()


def new_config(size: str, tokenizer: Any, **settings: Any) -> Any:
    """Return the configuration of a BERT of this size."""
    from transformers import BertConfig

    layers, width = SIZES[size]
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        max_position_embeddings=tokenizer.model_max_length,
        pad_token_id=tokenizer.pad_token_id,
        **settings,
    )


def train_tokenizer(texts: Sequence[str], size: int, max_length: int) -> Any:
    """Return BERT's tokenizer with a WordPiece vocabulary learnt from the texts.

    The same texts give the same vocabulary. Upper and lower case, and accents, are taken for the
    same.

    Args:
        texts: In any script.
        size: Most entries of the vocabulary.
        max_length: Most tokens of an input.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    normalizer = normalizers.BertNormalizer()
    texts = [normalizer.normalize_str(text) for text in texts]
    letters = sorted({letter for text in texts for letter in text if not letter.isspace()})
    # The trainer numbers "##a", "##b", ... in the order of a hash map and breaks ties by number,
    # so they are given numbers beforehand; as the real tokenizer must not take them for special
    # tokens, it is built from the vocabulary alone.
    fixed = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=fixed, show_progress=False)
    trained.train_from_iterator(texts, trainer)
    return BertTokenizer(vocab=trained.get_vocab(), model_max_length=max_length)
