"""Computes losses: pure functions of student and teacher outputs. Padding is ignored."""

import math

from torch import Tensor
from torch.nn import functional as F

from runtimes.base import MASKED

__all__ = ["hidden_state_loss", "label_loss", "relation_loss", "soft_target_loss"]

QKV = tuple[Tensor, Tensor, Tensor]


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """Return T^2 KL(teacher || student) of the class distributions at a temperature, batch mean.

    Hinton et al. 2015, https://arxiv.org/abs/1503.02531; T^2 keeps the gradients' size when the
    temperature changes.

    Args:
        student_logits: (B, C).
        teacher_logits: (B, C).
        temperature: Above 0; larger ones weigh unlikely classes more.
    """
    student = F.log_softmax(student_logits.float() / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.float() / temperature, dim=-1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def hidden_state_loss(student: Tensor, teacher: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return the mean squared difference over tokens and dimensions.

    Args:
        student: (B, T, H).
        teacher: (B, T, H).
        attention_mask: (B, T) or None when nothing is padded.
    """
    squares = (student.float() - teacher.float()).square().mean(dim=-1)  # (B, T)
    return _token_mean(squares, attention_mask)


def relation_loss(student: QKV, teacher: QKV, attention_mask: Tensor | None) -> Tensor:
    """Return the mean KL between teacher's and student's Q-Q, K-K and V-V relations (MiniLMv2).

    A relation is softmax(A A^T / sqrt(d)) of one relation head. Both sides are cut into the
    largest number of relation heads that divides both head counts (one, where nothing else
    does), so head counts may differ.
    Wang et al. 2021, https://arxiv.org/abs/2012.15828.

    Args:
        student: Queries (already scaled by 1/sqrt(head_size), as the lean encoder returns
            them), keys and values, each (B, h, T, d).
        teacher: The same, each (B, h', T, d').
        attention_mask: (B, T) or None when nothing is padded.

    Returns:
        Scalar; 0 where either side has no heads left, because then there is nothing to compare.
    """
    own, other = student[0].shape[1], teacher[0].shape[1]
    if own == 0 or other == 0:
        return student[0].sum() * 0.0
    heads = math.gcd(own, other)
    total = student[0].new_zeros((), dtype=student[0].float().dtype)
    for position, (a, b) in enumerate(zip(student, teacher, strict=True)):
        scaled = position == 0
        a_relation = _relation(a, heads, attention_mask, scaled)
        b_relation = _relation(b, heads, attention_mask, scaled)
        divergence = (b_relation.exp() * (b_relation - a_relation)).sum(dim=-1)  # (B, R, T)
        total = total + _token_mean(divergence.mean(dim=1), attention_mask)
    return total / 3


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy to the true classes; texts labelled -1 (generated) do not count.

    Args:
        logits: (B, C).
        labels: (B,) integers.
    """
    known = (labels != -1).sum().clamp(min=1)
    total = F.cross_entropy(logits.float(), labels, ignore_index=-1, reduction="sum")
    return total / known


def _relation(x: Tensor, heads: int, attention_mask: Tensor | None, scaled: bool) -> Tensor:
    """Map (B, h, T, d) to log relations (B, R, T, T) of R relation heads."""
    batch, own_heads, length, size = x.shape
    x = x.float()
    if scaled:  # undo 1/sqrt(d): a relation head has a size, and a scale, of its own
        x = x * math.sqrt(size)
    width = own_heads // heads * size
    x = x.unflatten(1, (heads, own_heads // heads)).transpose(2, 3)  # (B, R, T, h / R, d)
    x = x.reshape(batch, heads, length, width)
    scores = x @ x.transpose(-1, -2) / math.sqrt(width)
    if attention_mask is not None:
        scores = scores + (1.0 - attention_mask[:, None, None].to(scores.dtype)) * MASKED
    return F.log_softmax(scores, dim=-1)


def _token_mean(values: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return the mean of (B, T) over real tokens."""
    if attention_mask is None:
        return values.mean()
    mask = attention_mask.to(values.dtype)
    return (values * mask).sum() / mask.sum()
