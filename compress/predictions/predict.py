"""Runs a lean encoder over many texts, and compares its logits with the teacher's."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.data.tokenized import SpanTokens, TokenizedTexts, collate
from compress.encoder.masks import EncoderMasks
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.decisions import decided
from compress.predictions.objective import Objective
from runtimes.base import MASKED

__all__ = ["batches_by_length", "divergence", "evaluating", "predict_logits"]


@contextmanager
def evaluating(model: LeanEncoderWithHead) -> Iterator[None]:
    """Within the block the model is in evaluation mode."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def batches_by_length(
    model: LeanEncoderWithHead, texts: TokenizedTexts, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """Yield all texts in batches, the shortest first, so that little is padded.

    Args:
        model: Which device the batches go to, and what they are padded with.
        texts: N texts.
        batch_size: Texts at once.

    Returns:
        Of each batch its texts' indices (B,), and the model's inputs.
    """
    device = next(model.parameters()).device
    order = np.argsort(texts.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        members = order[start : start + batch_size]
        yield members, collate(texts, members, model.config.pad_token_id or 0, device)


def predict_logits(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    *,
    batch_size: int = 64,
    masks: EncoderMasks | None = None,
) -> NDArray[np.float32]:
    """Return (M, C) logits of all decisions (`TokenizedTexts.decisions`), in evaluation mode.

    Args:
        model: On any device; its mode is left as it was.
        texts: N texts.
        batch_size: Texts at once.
        masks: Multipliers for heads, neurons and layers.
    """
    width = model.config.outputs
    if isinstance(texts.targets, SpanTokens):  # a decision among the tokens of the longest text
        width = int(texts.lengths.max())
    logits = np.full((texts.decision_count, width), MASKED, dtype=np.float32)
    with evaluating(model), torch.inference_mode():
        for members, inputs in batches_by_length(model, texts, batch_size):
            own = decided(model(**inputs, masks=masks).logits, texts, members)
            logits[texts.decisions(members), : own.shape[1]] = own.float().cpu().numpy()
    return logits


def divergence(
    logits: NDArray[np.float32], teacher_logits: NDArray[np.float32], objective: Objective
) -> float:
    """Return the mean KL(teacher || student) over decisions, in nats."""
    distance = objective.soft(torch.from_numpy(logits), torch.from_numpy(teacher_logits), 1.0)
    # Of two that agree rounding makes a negative one, and weights that have diverged make none.
    return max(0.0, float(distance)) if torch.isfinite(distance) else float("inf")
