"""Logits of a lean encoder over many texts, and how far they are from the teacher's."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from compress.data.tokenized import SpanTokens, TokenizedTexts, collate
from compress.predictions.decisions import decided
from compress.predictions.objective import Objective
from runtimes.base import MASKED

if TYPE_CHECKING:
    from compress.encoder.masks import EncoderMasks
    from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["divergence", "predict_logits"]


def predict_logits(
    model: "LeanEncoderWithHead",
    texts: TokenizedTexts,
    *,
    batch_size: int = 64,
    masks: "EncoderMasks | None" = None,
) -> NDArray[np.float32]:
    """(M, C) logits of all decisions (`TokenizedTexts.decisions`), in evaluation mode.

    Args:
        model: On any device; its mode is left as it was.
        texts: N texts.
        batch_size: Texts at once; they are sorted by length, so that little is padded.
        masks: Multipliers for heads, neurons and layers.
    """
    device = next(model.parameters()).device
    pad = model.config.pad_token_id or 0
    order = np.argsort(texts.lengths, kind="stable")
    width = model.config.outputs
    if isinstance(texts.targets, SpanTokens):  # a decision among the tokens of the longest text
        width = int(texts.lengths.max())
    logits = np.full((texts.decision_count, width), MASKED, dtype=np.float32)
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            members = order[start : start + batch_size]
            output = model(**collate(texts, members, pad, device), masks=masks)
            own = decided(output.logits, texts, members)
            logits[texts.decisions(members), : own.shape[1]] = own.float().cpu().numpy()
    model.train(training)
    return logits


def divergence(
    logits: NDArray[np.float32], teacher_logits: NDArray[np.float32], objective: Objective
) -> float:
    """Mean KL(teacher || student) over decisions, in nats."""
    distance = objective.soft(torch.from_numpy(logits), torch.from_numpy(teacher_logits), 1.0)
    # Of two that agree rounding makes a negative one, and weights that have diverged make none.
    return max(0.0, float(distance)) if torch.isfinite(distance) else float("inf")
