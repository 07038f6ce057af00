"""Everything that a model answers, as rows that can be compared with another model's."""

from torch import Tensor

from runtimes.base import MASKED

__all__ = ["all_answers", "over_tokens"]


def all_answers(logits: Tensor, attention_mask: Tensor | None, head: str) -> Tensor:
    """Return all answers as (m, C): one a text, one a token but padding, or a start and an end.

    Args:
        logits: (B, C) or (B, T, C).
        attention_mask: (B, T) or None when nothing is padded.
        head: The model's, see `LeanEncoderConfig`.
    """
    if logits.ndim == 2:
        return logits
    if head == "span":
        return over_tokens(logits, None if attention_mask is None else attention_mask.bool())
    return logits.flatten(0, 1) if attention_mask is None else logits[attention_mask.bool()]


def over_tokens(logits: Tensor, inside: Tensor | None) -> Tensor:
    """Turn (B, T, 2) into (2 B, T): of each text the starts, then the ends.

    Args:
        logits: Of question answering.
        inside: (B, T), false where no answer can be: the logit there is `MASKED`; or None.
    """
    if inside is not None:
        logits = logits.masked_fill(~inside[..., None], MASKED)
    return logits.transpose(1, 2).flatten(0, 1)
