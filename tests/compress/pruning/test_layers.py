"""Which layers go: what a try says has to be what the shallower model answers."""

from typing import Any

import pytest
import torch

from compress.encoder.surgery import keep_layers
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.pruning.layers import _Layers, removal_path
from compress.pruning.reconstruction import repair_outputs
from compress.system.progress import SilentProgress


def kl(model: Any, probe: Any, logits: Any) -> float:
    return divergence(predict_logits(model, probe), logits, objective_for(model.config))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_layer_is_missed_as_in_the_model_without_it(toy: Any, layer: int) -> None:
    probe, logits = toy.selection_texts, predict_logits(toy.teacher, toy.selection_texts)
    with torch.inference_mode():
        left = _Layers(toy.teacher, toy.texts, probe, logits)
        missed = left.missed(layer)
    kept = [index for index in range(3) if index != layer]
    shallower = keep_layers(toy.teacher, kept)
    repair_outputs(
        shallower, toy.teacher, toy.texts, kept, progress=SilentProgress(), joints_only=True
    )
    assert missed == pytest.approx(kl(shallower, probe, logits), rel=0.01)  # in other batches


def test_after_a_removal_the_next_one_is_measured_on_what_is_left(toy: Any) -> None:
    probe, logits = toy.selection_texts, predict_logits(toy.teacher, toy.selection_texts)
    with torch.inference_mode():
        left = _Layers(toy.teacher, toy.texts, probe, logits)
        left.remove(1)
        assert left.kept == [0, 2]
        missed = left.missed(2)
    alone = keep_layers(toy.teacher, [0])
    repair_outputs(alone, toy.teacher, toy.texts, [0], progress=SilentProgress(), joints_only=True)
    # It was fitted twice, from weights that had been fitted before.
    assert missed == pytest.approx(kl(alone, probe, logits), rel=0.2)


def test_the_path_takes_the_least_missed_layer_first(toy: Any) -> None:
    probe, logits = toy.selection_texts, predict_logits(toy.teacher, toy.selection_texts)
    with torch.inference_mode():
        left = _Layers(toy.teacher, toy.texts, probe, logits)
        missed = {layer: left.missed(layer) for layer in range(3)}
    path = removal_path(toy.teacher, toy.texts, probe, logits, 1, progress=SilentProgress())
    kept = [set(each.kept) for each in path]
    assert [len(each) for each in kept] == [3, 2, 1]
    assert kept[0] - kept[1] == {min(missed, key=lambda layer: missed[layer])}
    assert kept[2] < kept[1]
    # what goes first is missed as much as was found, by the model that is left as well
    assert kl(path[1].of(toy.teacher), probe, logits) == pytest.approx(
        min(missed.values()), rel=1e-3
    )
    assert kl(path[0].of(toy.teacher), probe, logits) == pytest.approx(0, abs=1e-6)
    (whole,) = removal_path(toy.teacher, toy.texts, probe, logits, 3, progress=SilentProgress())
    assert whole.kept == (0, 1, 2)
