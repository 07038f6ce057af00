"""What a model decides about texts: one class a text, or one for each of its words or tokens."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.tokenized import TokenizedTexts

__all__ = ["all_answers", "decided"]


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
    if texts.word_tokens is None:
        raise ValueError("a model that answers for every token needs texts with labelled words")
    tokens = [texts.word_tokens[int(i)] for i in indices]
    rows = torch.from_numpy(np.repeat(np.arange(len(tokens)), [len(own) for own in tokens]))
    columns = torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *tokens]))
    columns = columns.to(logits.device)
    picked = logits[rows.to(logits.device), columns.clamp(min=0)]
    return picked * (columns >= 0)[:, None]  # of a word that was cut off nothing is said


def all_answers(logits: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Everything that the model says, as (m, C): about each text, or each token but padding.

    Args:
        logits: (B, C) or (B, T, C).
        attention_mask: (B, T) or None when nothing is padded.
    """
    if logits.ndim == 2:
        return logits
    return logits.flatten(0, 1) if attention_mask is None else logits[attention_mask.bool()]
