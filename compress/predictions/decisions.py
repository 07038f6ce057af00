"""What a model decides about texts: a class each, one for each word, or where an answer stands."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.data.tokenized import TokenizedTexts

__all__ = ["NOWHERE", "all_answers", "decided"]

NOWHERE = -30000.0
"""The logit of tokens at which no answer starts or ends."""


def decided(
    logits: Tensor, texts: TokenizedTexts, indices: Sequence[int] | NDArray[np.int64]
) -> Tensor:
    """The decisions that have labels, as (m, C), in the order of `texts.decisions(indices)`.

    Args:
        logits: (B, C), or (B, T, C) of a model that answers for every token.
        texts: Where the batch is from.
        indices: (B,) of its texts.
    """
    if logits.ndim == 2:
        return logits
    if texts.allowed is not None:
        inside = torch.zeros(logits.shape[:2], dtype=torch.bool)
        for row, index in zip(inside, indices, strict=True):
            own = texts.allowed[int(index)]
            row[: len(own)] = torch.from_numpy(own)
        return _over_tokens(logits, inside.to(logits.device))
    if texts.word_tokens is None:
        raise ValueError("a model that answers for every token needs texts with labelled words")
    tokens = [texts.word_tokens[int(i)] for i in indices]
    rows = torch.from_numpy(np.repeat(np.arange(len(tokens)), [len(own) for own in tokens]))
    columns = torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *tokens]))
    columns = columns.to(logits.device)
    picked = logits[rows.to(logits.device), columns.clamp(min=0)]
    return picked * (columns >= 0)[:, None]  # of a word that was cut off nothing is said


def all_answers(logits: Tensor, attention_mask: Tensor | None, head: str) -> Tensor:
    """Everything that the model says, as (m, C): about each text, each token but padding, or all
    tokens as start and as end of an answer.

    Args:
        logits: (B, C) or (B, T, C).
        attention_mask: (B, T) or None when nothing is padded.
        head: The model's, see `LeanEncoderConfig`.
    """
    if logits.ndim == 2:
        return logits
    if head == "span":
        return _over_tokens(logits, None if attention_mask is None else attention_mask.bool())
    return logits.flatten(0, 1) if attention_mask is None else logits[attention_mask.bool()]


def _over_tokens(logits: Tensor, inside: Tensor | None) -> Tensor:
    """(B, T, 2) to (2 B, T): of each text the starts and then the ends, `NOWHERE` outside."""
    if inside is not None:
        logits = logits.masked_fill(~inside[..., None], NOWHERE)
    return logits.transpose(1, 2).flatten(0, 1)
