"""Picks what a model decides: a class for each text or word, or where an answer stands."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.data.tokenized import SpanTokens, TokenizedTexts, TokenLabels
from compress.encoder.answers import over_tokens

__all__ = ["decided"]


def decided(
    logits: Tensor, texts: TokenizedTexts, indices: Sequence[int] | NDArray[np.int64]
) -> Tensor:
    """Return the decisions that have labels, (m, C), in the order of `texts.decisions(indices)`.

    Args:
        logits: (B, C), or (B, T, C) of a model that answers for every token.
        texts: Where the batch is from.
        indices: (B,) of its texts.
    """
    if logits.ndim == 2:
        return logits
    targets = texts.targets
    if isinstance(targets, SpanTokens):
        inside = torch.zeros(logits.shape[:2], dtype=torch.bool)
        for row, index in zip(inside, indices, strict=True):
            own = targets.allowed[int(index)]
            row[: len(own)] = torch.from_numpy(own)
        return over_tokens(logits, inside.to(logits.device))
    if not isinstance(targets, TokenLabels):
        raise ValueError("a model that answers for every token needs texts with labelled words")
    tokens = [targets.tokens[int(i)] for i in indices]
    rows = torch.from_numpy(np.repeat(np.arange(len(tokens)), [len(own) for own in tokens]))
    columns = torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *tokens]))
    columns = columns.to(logits.device)
    picked = logits[rows.to(logits.device), columns.clamp(min=0)]
    return picked * (columns >= 0)[:, None]  # of a word that was cut off nothing is said
