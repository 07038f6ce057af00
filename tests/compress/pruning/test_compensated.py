"""Scores of parts whose work others take over: exact, and not blind to what is redundant."""

from typing import Any

import numpy as np
import pytest
import torch

from compress.encoder.surgery import SlicePlan, slice_model
from compress.predictions.predict import predict_logits
from compress.pruning.compensated import _DAMPING, _Moments, _removed, compensated_importance
from compress.pruning.importance import label_losses, mask_importance, teacher_losses
from compress.system.progress import SilentProgress

SILENT = SilentProgress()


def met(inputs: torch.Tensor, gradients: torch.Tensor, outputs: int) -> tuple[_Moments, Any]:
    """The moments of a projection that met these, and its matrix, always the same."""
    projection = torch.nn.Linear(inputs.shape[1], outputs).double()
    torch.nn.init.normal_(projection.weight, generator=torch.Generator().manual_seed(1))
    moments = _Moments.none(projection)
    moments.add(inputs, [gradients])
    return moments, projection.weight.detach()


def least(moments: _Moments, weight: torch.Tensor, inputs: torch.Tensor, stay: list[int]) -> float:
    """What is lost without the other inputs where weights and bias are the best there are."""
    width = inputs.shape[1]
    centred = inputs - inputs.mean(dim=0)
    ridge = _DAMPING * (centred.T @ centred).diagonal().mean()
    # Rows that stand for the damping: errors of all weights, gone or not.
    rows = torch.cat([centred, ridge.sqrt() * torch.eye(width, dtype=torch.float64)])
    best = torch.linalg.lstsq(rows[:, stay], rows @ weight.T).solution
    errors = rows[:, stay] @ best - rows @ weight.T
    scale = moments.weight / (moments.inputs.trace() * moments.gradients.trace())
    return float(scale * (moments.gradients @ (errors.T @ errors)).trace())


@pytest.mark.parametrize(("unit", "step"), [(1, 1), (1, 3), (4, 1)])
def test_sums_of_the_lowest_are_what_the_best_refit_loses(unit: int, step: int) -> None:
    rng = torch.Generator().manual_seed(0)
    mixed = torch.randn(12, 12, generator=rng, dtype=torch.float64)
    inputs = torch.randn(200, 12, generator=rng, dtype=torch.float64) @ mixed + 2
    gradients = torch.randn(200, 5, generator=rng, dtype=torch.float64)
    moments, weight = met(inputs, gradients, 5)
    scores = _removed(moments, weight, unit, step)
    assert len(scores) == 12 // unit
    order = np.argsort(scores, kind="stable")
    gone = order[:step]
    stay = [i for part in order[step:] for i in range(part * unit, (part + 1) * unit)]
    assert scores[gone].sum() == pytest.approx(least(moments, weight, inputs, stay), rel=1e-6)
    # Together all are what the projection gives at all.
    everything = least(moments, weight, inputs, [])
    assert scores.sum() >= everything * (1 - 1e-9)
    assert scores.sum() == pytest.approx(everything, rel=0.35)


def test_what_another_can_stand_in_for_costs_next_to_nothing() -> None:
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 8, generator=rng, dtype=torch.float64)
    inputs[:, 5] = 2 * inputs[:, 2] - 1
    gradients = torch.randn(400, 5, generator=rng, dtype=torch.float64)
    moments, weight = met(inputs, gradients, 5)
    scores = _removed(moments, weight, 1, 1)
    alone = [place for place in range(8) if place not in (2, 5)]
    assert min(scores[2], scores[5]) < 0.05 * min(scores[alone])
    assert max(scores[2], scores[5]) > min(scores[alone])  # one of the two has to stay


def test_what_is_left_is_nearer_after_refitting(toy: Any) -> None:
    """Than what masks' gradients leave, of a model that learnt."""
    from compress.predictions.objective import objective_for
    from compress.predictions.predict import divergence
    from compress.pruning.ranking import keep_best_neurons
    from compress.pruning.reconstruction import repair_outputs

    texts, model = toy.texts, toy.teacher
    logits = predict_logits(model, texts)
    losses = teacher_losses(logits, texts, classes=2)
    found = {}
    for name, scores in (
        ("masks", mask_importance(model, losses, texts, progress=SILENT)),
        ("refit", compensated_importance(model, losses, texts, neuron_step=2, progress=SILENT)),
    ):
        total = sum(map(len, scores.neurons))
        kept = keep_best_neurons(scores.neurons, round(0.95 * total), 1)
        smaller = slice_model(model, SlicePlan(neurons=kept))
        repair_outputs(smaller, model, texts, range(len(scores.neurons)), progress=SILENT)
        found[name] = divergence(
            predict_logits(smaller, texts), logits, objective_for(model.config)
        )
    assert found["refit"] < 0.5 * found["masks"]


def test_batches_do_not_matter_and_the_model_stays(toy: Any) -> None:
    texts = toy.texts.take(range(40))
    model = toy.make_model(seed=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    losses = label_losses(model, texts)
    one, other = (
        compensated_importance(
            model, losses, texts, neuron_step=4, progress=SILENT, batch_size=size
        )
        for size in (3, 40)
    )
    for first, second in zip(
        [*one.heads, *one.neurons], [*other.heads, *other.neurons], strict=True
    ):
        np.testing.assert_allclose(second, first, rtol=1e-2)
        assert (first > 0).all()
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())
    assert not model.encoder.embeddings._forward_hooks


def test_a_sublayer_that_is_gone_has_no_scores(toy: Any) -> None:
    texts = toy.texts.take(range(16))
    model = slice_model(toy.make_model(seed=4), SlicePlan(heads={0: []}, neurons={1: []}))
    scores = compensated_importance(
        model, label_losses(model, texts), texts, neuron_step=4, progress=SILENT
    )
    assert len(scores.heads[0]) == 0
    assert len(scores.neurons[1]) == 0
    assert all(
        len(own) == layer.heads
        for own, layer in zip(scores.heads, model.config.layer_sizes, strict=True)
    )
