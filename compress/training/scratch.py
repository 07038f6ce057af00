"""Encoders that start from nothing: BERT in the sizes of Turc et al. 2019, with a vocabulary of the
text's own (https://arxiv.org/abs/1908.08962)."""

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
    """Whether a base model is a size to start from, rather than a checkpoint."""
    return base in SIZES and not Path(base).exists()


def new_config(size: str, tokenizer: Any, **settings: Any) -> Any:
    """The configuration of a BERT of this size."""
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


def train_tokenizer(
    texts: Sequence[str], size: int, max_length: int, *, lowercase: bool = True
) -> Any:
    """A WordPiece tokenizer as BERT's, with a vocabulary learnt from the texts.

    The same texts give the same vocabulary.

    Args:
        texts: In any script.
        size: Most entries of the vocabulary.
        max_length: Most tokens of an input.
        lowercase: Whether upper and lower case, and accents, are taken for the same.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    vocabulary = _vocabulary([normalizer.normalize_str(text) for text in texts], size)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _vocabulary(texts: Sequence[str], size: int) -> dict[str, int]:
    """A WordPiece vocabulary, the same for the same texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    letters = sorted({letter for text in texts for letter in text if not letter.isspace()})
    # The trainer numbers "##a", "##b", ... in the order of a hash map and breaks ties by number,
    # so they are given numbers beforehand; as the real tokenizer must not take them for special
    # tokens, it is built from the vocabulary alone.
    fixed = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=fixed, show_progress=False)
    trained.train_from_iterator(texts, trainer)
    return dict(trained.get_vocab())
