"""Importance: what is dead scores nothing, what matters scores most, whole layers by their KL."""

from typing import Any

import numpy as np
import pytest
import torch

from compress.data.tokenized import TokenizedTexts, collate
from compress.encoder.masks import EncoderMasks
from compress.encoder.surgery import keep_layers
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.pruning.importance import fisher_importance
from compress.pruning.layers import layers_left
from compress.pruning.ranking import keep_best_heads, keep_best_neurons
from compress.system.progress import SilentProgress


def test_scores_are_summed_squared_gradients(toy: Any) -> None:
    texts = toy.texts.take(range(8))
    model = keep_layers(toy.teacher, [0, 1, 2])
    scores = fisher_importance(model, texts, progress=SilentProgress(), batch_size=8)
    assert all(p.requires_grad and p.grad is None for p in model.parameters()), "left as it was"
    masks = EncoderMasks.ones(model.config, requires_grad=True)
    tensors = [*masks.heads, *masks.neurons]
    squares = []
    for text in range(8):
        label = torch.from_numpy(texts.labels[text : text + 1])
        loss = model(**collate(texts, [text], 0), masks=masks, labels=label).loss
        squares.append([each.square().numpy() for each in torch.autograd.grad(loss, tensors)])
    for score, own in zip(
        [*scores.heads, *scores.neurons], zip(*squares, strict=True), strict=True
    ):
        np.testing.assert_allclose(score, np.sum(own, axis=0), rtol=1e-3, atol=1e-9)


def test_a_dead_neuron_and_a_dead_head_score_nothing(toy: Any) -> None:
    model = keep_layers(toy.teacher, [0, 1, 2])
    with torch.no_grad():
        model.encoder.layers[1].feed_forward.down.weight[:, 5] = 0
        model.encoder.layers[1].attention.output.weight[:, 8:16] = 0
    unlabelled = TokenizedTexts(toy.texts.ids[:64])  # labels are drawn from the model's answers
    scores = fisher_importance(model, unlabelled, progress=SilentProgress())
    assert scores.neurons[1].argmin() == 5
    assert scores.neurons[1][5] == 0
    assert scores.heads[1].argmin() == 1
    assert scores.heads[1][1] == 0


def test_layers_are_named_greedily_by_divergence(toy: Any) -> None:
    texts = toy.texts.take(range(64))
    reference = predict_logits(toy.teacher, texts)

    def without(*layers: int) -> float:
        kept = [layer for layer in range(3) if layer not in layers]
        logits = predict_logits(keep_layers(toy.teacher, kept), texts)
        return divergence(logits, reference, objective_for(toy.teacher.config))

    first = min(range(3), key=without)
    second = min({0, 1, 2} - {first}, key=lambda layer: without(first, layer))
    progress = SilentProgress()
    for skipped in ({first}, {first, second}):
        left = layers_left(toy.teacher, texts, reference, len(skipped), progress=progress)
        assert left == tuple(sorted({0, 1, 2} - skipped))


def test_the_best_heads_of_all_layers_stay() -> None:
    scores = [np.asarray([3.0, 1.0]), np.asarray([0.5, 0.2]), np.asarray([9.0, 8.0])]
    assert keep_best_heads(scores, 3) == {0: [0], 1: [], 2: [0, 1]}
    assert keep_best_heads(scores, 0) == {0: [0, 1], 1: [0, 1], 2: [0, 1]}


@pytest.mark.parametrize("remove", [0, 8, 20, 40, 64])
def test_neuron_widths_are_multiples(remove: int) -> None:
    rng = np.random.default_rng(0)
    scores = [rng.random(32), 5 * rng.random(32)]
    kept = keep_best_neurons(scores, remove, 8)
    widths = [len(kept[layer]) for layer in (0, 1)]
    assert all(width % 8 == 0 for width in widths)
    assert abs(sum(widths) - (64 - remove)) <= 4
    for layer in (0, 1):
        gone = sorted(set(range(32)) - set(kept[layer]))
        if gone and kept[layer]:
            assert scores[layer][gone].max() < scores[layer][kept[layer]].min()


def test_an_odd_width_becomes_a_multiple_first() -> None:
    scores = [np.arange(21.0)]
    assert len(keep_best_neurons(scores, 5, 8)[0]) == 16
    assert len(keep_best_neurons(scores, 13, 8)[0]) == 8
    assert keep_best_neurons([np.zeros(0)], 0, 8) == {0: []}
