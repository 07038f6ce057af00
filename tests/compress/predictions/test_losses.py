"""Losses: zero where student and teacher agree, blind to padding, right against plain formulas."""

import math

import pytest
import torch
from torch import Tensor

from compress.predictions.losses import (
    hidden_state_loss,
    label_loss,
    relation_loss,
    soft_target_loss,
)


def qkv(batch: int, heads: int, length: int, size: int, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, heads, length, size, generator=generator) for _ in range(3))


def test_soft_targets_are_the_kl_divergence() -> None:
    student, teacher = (
        torch.tensor([[1.0, 0.0], [0.0, 2.0]]),
        torch.tensor([[0.0, 3.0], [0.0, 2.0]]),
    )
    p, q = (teacher / 2).softmax(-1), (student / 2).softmax(-1)
    expected = 4 * (p * (p / q).log()).sum(-1).mean()
    assert soft_target_loss(student, teacher, 2.0).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
    assert soft_target_loss(teacher, teacher, 2.0).item() == pytest.approx(0.0, abs=1e-7)


def test_hidden_states_ignore_padding() -> None:
    a, b = torch.zeros(1, 3, 2), torch.ones(1, 3, 2)
    b[0, 2] = 100.0
    assert hidden_state_loss(a, b, torch.tensor([[1, 1, 0]])).item() == 1.0
    assert hidden_state_loss(a, b, None).item() > 1.0


def test_relations_are_the_kl_of_the_papers_formula() -> None:
    student, teacher = qkv(2, 2, 4, 3), qkv(2, 2, 4, 3, seed=1)
    total = 0.0
    for position, (a, b) in enumerate(zip(student, teacher, strict=True)):
        factor = math.sqrt(3) if position == 0 else 1.0  # queries come scaled
        rows = [(x * factor) @ (x * factor).transpose(-1, -2) / math.sqrt(3) for x in (a, b)]
        own, other = (r.softmax(-1) for r in rows)
        total += float((other * (other / own).log()).sum(-1).mean())
    loss = relation_loss(student, teacher, None)  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(total / 3, rel=1e-4)


def test_relations_are_zero_between_equals_and_ignore_padding() -> None:
    x = qkv(2, 4, 5, 8)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    assert relation_loss(x, x, mask).item() == pytest.approx(0.0, abs=1e-6)  # type: ignore[arg-type]
    changed = tuple(t.clone() for t in x)
    for t in changed:
        t[0, :, 3:] = 7.0  # padded positions only
    assert relation_loss(changed, x, mask).item() == pytest.approx(0.0, abs=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("heads", [1, 2, 3, 4])
def test_relations_take_any_head_counts(heads: int) -> None:
    student = tuple(t.requires_grad_() for t in qkv(2, heads, 5, 8))
    loss = relation_loss(student, qkv(2, 4, 5, 8, seed=1), None)  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() > 0
    assert all(t.grad is not None and t.grad.abs().sum() > 0 for t in student)


def test_a_layer_without_heads_has_no_relations() -> None:
    loss = relation_loss(qkv(2, 0, 5, 8), qkv(2, 4, 5, 8), None)  # type: ignore[arg-type]
    assert loss.item() == 0.0


def test_labels_of_generated_text_do_not_count() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    alone = label_loss(logits[:1], torch.tensor([0]))
    assert label_loss(logits, torch.tensor([0, -1])).item() == pytest.approx(alone.item())
    assert label_loss(logits, torch.tensor([-1, -1])).item() == 0.0
