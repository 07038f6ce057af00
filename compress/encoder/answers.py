"""Arranges everything that a model says about a batch as rows."""

from torch import Tensor

from runtimes.base import MASKED

__all__ = ["over_tokens", "rows_of"]


def rows_of(logits: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return (m, C): a row a text, or a row a token that is not padding.

    Args:
        logits: (B, C) or (B, T, C).
        attention_mask: (B, T) or None when nothing is padded.
    """
    if logits.ndim == 2:
        return logits
    return logits.flatten(0, 1) if attention_mask is None else logits[attention_mask.bool()]


def over_tokens(logits: Tensor, inside: Tensor | None) -> Tensor:
    """Return (2 B, T) from (B, T, 2): each text's starts, then its ends, `MASKED` outside.

    Args:
        logits: Of start and end, for each token.
        inside: (B, T) where an answer may start and end; None: everywhere.
    """
    if inside is not None:
        logits = logits.masked_fill(~inside[..., None], MASKED)
    return logits.transpose(1, 2).flatten(0, 1)
