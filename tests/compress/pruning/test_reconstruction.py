"""Least-squares repair of a pruned model."""

from typing import Any

import numpy as np
import pytest
import torch

from compress.data.tokenized import TokenizedTexts, collate
from compress.encoder.surgery import SlicePlan, keep_layers, slice_model
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.pruning.reconstruction import _Stream, refit, repair_outputs
from compress.system.progress import SilentProgress


def distance(toy: Any, model: Any, reference: Any) -> float:
    logits = predict_logits(model, toy.selection_texts)
    return divergence(logits, reference, objective_for(model.config))


def test_refit_finds_the_plain_least_squares_solution() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    ones = torch.cat([x, torch.ones(200, 1, dtype=torch.float64)], dim=1)
    weight, bias = refit(ones.T @ ones, ones.T @ y, torch.zeros(3, 5), torch.zeros(3), 0.0)
    expected = torch.linalg.lstsq(ones, y).solution
    torch.testing.assert_close(weight.double(), expected[:5].T, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(bias.double(), expected[5], rtol=1e-4, atol=1e-5)


def test_strong_damping_keeps_the_weights() -> None:
    x = torch.randn(50, 5, dtype=torch.float64)
    ones = torch.cat([x, torch.ones(50, 1, dtype=torch.float64)], dim=1)
    start = torch.randn(3, 5)
    weight, _ = refit(
        ones.T @ ones, ones.T @ torch.randn(50, 3).double(), start, torch.zeros(3), 1e9
    )
    torch.testing.assert_close(weight, start, rtol=1e-3, atol=1e-3)


def pruned(toy: Any) -> Any:
    plan = SlicePlan(
        heads={0: [0, 1], 1: [2], 2: []},
        neurons={0: list(range(24)), 1: list(range(0, 64, 3)), 2: []},
    )
    return slice_model(toy.teacher, plan)


def test_repair_brings_the_answers_back_towards_the_original(toy: Any) -> None:
    reference = predict_logits(toy.teacher, toy.selection_texts)
    model = pruned(toy)
    before = distance(toy, model, reference)
    result = repair_outputs(model, toy.teacher, toy.texts, (0, 1, 2), progress=SilentProgress())
    after = distance(toy, model, reference)
    assert after < before / 2
    assert result.total == 6
    assert result.refitted >= 4
    assert result.error_after < result.error_before
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_a_layer_stands_in_for_the_removed_one_behind_it(toy: Any) -> None:
    reference = predict_logits(toy.teacher, toy.selection_texts)
    for kept in ((0, 2), (1, 2), (0, 1)):
        model = keep_layers(toy.teacher, kept)
        before = distance(toy, model, reference)
        result = repair_outputs(model, toy.teacher, toy.texts, kept, progress=SilentProgress())
        after = distance(toy, model, reference)
        if kept == (1, 2):  # nothing stands before the layer that is gone
            assert result.total == 4
        else:
            assert after < 0.6 * before


@pytest.mark.parametrize("vectors", [False, True])
def test_it_follows_models_that_tell_distances_apart(vectors: bool, toy: Any) -> None:
    """Sublayer by sublayer, it comes to what the model computes as a whole."""
    config = toy.teacher.config.replaced(max_relative_distance=30, distance_vectors=vectors)
    model = type(toy.teacher)(config).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    batch = collate(toy.texts, np.arange(8), 0, torch.device("cpu"))
    stream = _Stream(model, model, batch, [], fits=True)
    with torch.no_grad():
        for layer in model.encoder.layers:
            stream.enter_attention(layer, layer)
            stream.leave(layer.attention_norm, layer.attention.output)
            stream.enter_feed_forward(layer, layer, [])
            stream.leave(layer.feed_forward_norm, layer.feed_forward.down)
        whole = model.encoder(**batch).last_hidden_state
    torch.testing.assert_close(stream._own, whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(stream._target, whole, rtol=1e-4, atol=1e-4)


def test_nothing_removed_needs_no_repair(toy: Any) -> None:
    model = slice_model(toy.teacher, SlicePlan())
    repair_outputs(model, toy.teacher, toy.texts, (0, 1, 2), progress=SilentProgress())
    ours, theirs = (
        torch.from_numpy(predict_logits(m, toy.selection_texts)) for m in (model, toy.teacher)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("damping", [0.0, 0.01])
def test_too_little_text_does_no_harm(toy: Any, damping: float) -> None:
    model = slice_model(toy.teacher, SlicePlan(heads={1: [0, 3]}))
    few = TokenizedTexts(toy.texts.ids[:4])
    result = repair_outputs(
        model, toy.teacher, few, (0, 1, 2), progress=SilentProgress(), damping=damping
    )
    assert result.error_after <= result.error_before
