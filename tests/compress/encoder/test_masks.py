"""Masks of ones change nothing, and gradients with respect to them measure importance."""

import pytest
import torch

from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.masks import EncoderMasks
from compress.encoder.surgery import SlicePlan, slice_model

Batch = dict[str, torch.Tensor]
Lean = LeanEncoderForSequenceClassification
LABELS = torch.tensor([0, 1, 2])


def test_ones_change_nothing(lean: Lean, batch: Batch) -> None:
    masks = EncoderMasks.ones(lean.config)
    assert [m.shape[0] for m in masks.tensors()] == [4, 3, 1, 20, 33, 7, 3]
    torch.testing.assert_close(
        lean(**batch, masks=masks).logits, lean(**batch).logits, atol=1e-6, rtol=0
    )


def test_gradients_are_the_derivatives_of_the_loss(lean: Lean, batch: Batch) -> None:
    """Each gradient against a central difference, in double precision."""
    lean.double()
    masks = EncoderMasks.ones(lean.config, requires_grad=True)
    loss = lean(**batch, labels=LABELS, masks=masks).loss
    gradients = torch.autograd.grad(loss, masks.tensors())
    step = 1e-3
    for index, gradient in enumerate(gradients):
        for entry in range(0, gradient.numel(), 5):
            losses = []
            for sign in (1, -1):
                moved = EncoderMasks.ones(lean.config)
                moved.tensors()[index][entry] += sign * step
                with torch.no_grad():
                    losses.append(lean(**batch, labels=LABELS, masks=moved).loss)
            slope = (losses[0] - losses[1]) / (2 * step)
            assert float(gradient[entry]) == pytest.approx(float(slope), rel=1e-2, abs=1e-5)
        assert gradient.abs().sum() > 0


def test_layer_without_heads_has_an_unused_mask(lean: Lean, batch: Batch) -> None:
    bare = slice_model(lean, SlicePlan(heads={1: []}))
    masks = EncoderMasks.ones(bare.config, requires_grad=True)
    loss = bare(**batch, labels=LABELS, masks=masks).loss
    gradients = torch.autograd.grad(loss, masks.tensors(), allow_unused=True)
    assert [g is None for g in gradients] == [False, True, False, False, False, False, False]


def test_closed_layer_gate_passes_its_input_on(lean: Lean, batch: Batch) -> None:
    masks = EncoderMasks.ones(lean.config)
    masks.layers[1] = 0.0
    states = lean(**batch, masks=masks, output_hidden_states=True).hidden_states
    assert torch.equal(states[2], states[1])
    assert not torch.equal(states[3], states[2])


def test_masks_of_another_encoder_are_refused(lean: Lean, batch: Batch) -> None:
    masks = EncoderMasks.ones(slice_model(lean, SlicePlan(heads={0: [0]})).config)
    with pytest.raises(ValueError, match=r"heads \[1, 3, 1\] for \[4, 3, 1\]"):
        lean(**batch, masks=masks)
    sound = EncoderMasks.ones(lean.config)
    with pytest.raises(ValueError, match="layer mask"):
        lean(**batch, masks=EncoderMasks(sound.heads, sound.neurons, torch.ones(2)))
