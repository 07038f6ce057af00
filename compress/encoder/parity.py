"""Proves that an import is lossless: the same logits as the original on inputs that could tell."""

import inspect
from typing import Any

import torch
from torch import Tensor

from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["max_logit_delta", "probe_batches"]

# Lengths differ, so the batch is padded; cases, accents, digits and an unknown script are in it.
_TEXTS = (
    "Fine.",
    "The plot wanders, but the two leads are so good that you hardly mind the second hour.",
    "Why would anyone pay 12.50 for this?",
    "Élodie naïvely ordered piñatas in Łódź; 東京 was further than she thought!",
    "it is not that i did not like it, it is that i did not like it enough to see it again",
    "",
)
_PAIRS = (
    ("A man is playing a guitar on stage.", "Someone makes music."),
    ("Which river flows through the city?", "The Vltava."),
    ("no", "The second segment is a good deal longer than the first one, and that is the point."),
)


def max_logit_delta(
    original: Any, lean: LeanEncoderWithHead, tokenizer: Any
) -> tuple[float, float]:
    """Compare logits over `probe_batches`, in evaluation mode.

    Args:
        original: transformers classifier of texts, or of tokens (but not of padding).
        lean: Its import.
        tokenizer: Their tokenizer.

    Returns:
        The largest absolute difference, and the largest absolute logit of the original; NaN where
        a logit is.
    """
    takes_types = "token_type_ids" in inspect.signature(original.forward).parameters
    types = getattr(original.config, "type_vocab_size", 0) if takes_types else 0
    delta = largest = torch.zeros(())
    with torch.inference_mode():
        for batch in probe_batches(lean, tokenizer, types=types):
            mask = batch.get("attention_mask")
            expected = lean.answers(lean.original_logits(original, batch), mask)
            difference = expected - lean.answers(lean(**batch).logits, mask)
            delta = torch.maximum(delta, difference.abs().max())  # keeps NaN
            largest = torch.maximum(largest, expected.abs().max())
    return float(delta), float(largest)


def probe_batches(
    lean: LeanEncoderWithHead, tokenizer: Any, *, types: int
) -> list[dict[str, Tensor]]:
    """Make inputs on which a wrong import would show.

    A padded batch of texts, a padded batch of sentence pairs, one text without a mask, random
    ids of several lengths with every token type, and one sequence of every position.

    Args:
        lean: The import, for its sizes.
        tokenizer: The checkpoint's tokenizer.
        types: Token types that the original takes (fewer than 2: none are passed).
    """
    config = lean.config
    longest = config.max_position_embeddings
    texts, pairs = (
        tokenizer(
            *columns,
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=min(64, longest),
            return_tensors="pt",
            return_token_type_ids=True,
        )
        for columns in (
            (list(_TEXTS),),
            tuple(list(column) for column in zip(*_PAIRS, strict=True)),
        )
    )
    batches = [dict(texts), dict(pairs)]
    batches.append({"input_ids": texts["input_ids"][1:2, : int(texts["attention_mask"][1].sum())]})

    generator = torch.Generator().manual_seed(0)
    batches.append(_random_batch(config, [min(n, longest) for n in (3, 17, 31)], types, generator))
    batches.append(_random_batch(config, [longest], types, generator))
    if types < 2:
        for batch in batches:
            batch.pop("token_type_ids", None)
    return batches


def _random_batch(
    config: Any, lengths: list[int], types: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw random ids, padded on the right; the padding id itself is not drawn."""
    shape = (len(lengths), max(lengths))
    padding = config.pad_token_id or 0
    ids = torch.randint(1, config.vocab_size, shape, generator=generator)
    ids = (ids + padding) % config.vocab_size
    mask = (torch.arange(shape[1]) < torch.tensor(lengths)[:, None]).long()
    token_types = torch.randint(0, max(types, 1), shape, generator=generator)
    return {
        "input_ids": torch.where(mask.bool(), ids, padding),
        "attention_mask": mask,
        "token_type_ids": token_types,
    }
