"""As small as the budget allows: which sizes are tried, and which is kept."""

from typing import Any

import pytest

from compress.predictions.predict import predict_logits
from compress.pruning.importance import mask_importance, teacher_losses
from compress.pruning.to_budget import Lightened, lighten, multiplications
from compress.system.progress import SilentProgress

SILENT = SilentProgress()


def left(model: Any, whole: Any, texts: Any) -> float:
    """Share of the layers' multiplications, counted weight by weight."""
    tokens = float(texts.lengths.mean())

    def count(one: Any) -> float:
        total, layers = 0.0, one.encoder.layers
        for place, layer in enumerate(layers):
            alone = one.config.first_token_last_layer and place == len(layers) - 1
            queries = 1.0 if alone else tokens
            third = layer.attention.qkv.weight.numel() / 3
            total += (
                third * (queries + 2 * tokens) + layer.attention.output.weight.numel() * queries
            )
            total += queries * (
                layer.feed_forward.up.weight.numel() + layer.feed_forward.down.weight.numel()
            )
        return total

    return count(model) / count(whole)


def lightened(toy: Any, drops: Any, max_drop: float = 1.0) -> tuple[Lightened | None, list[float]]:
    """What is kept where a model's drop follows from its share, and the shares that were asked."""
    texts, asked = toy.texts.take(range(32)), list[float]()
    model = toy.teacher
    losses = teacher_losses(predict_logits(model, texts), texts)
    scores = mask_importance(model, losses, texts, progress=SILENT)

    def drop_of(smaller: Any) -> float:
        asked.append(left(smaller, model, texts))
        return float(drops(asked[-1]))

    found = lighten(
        model,
        scores,
        texts,
        drop_of,
        max_drop,
        lost_a_decision=0.5 / len(texts),
        neuron_step=1,
        progress=SILENT,
    )
    return found, asked


@pytest.mark.parametrize("edge", [0.3, 0.45, 0.6, 0.75])
def test_the_smallest_inside_is_kept_near_the_edge(toy: Any, edge: float) -> None:
    found, asked = lightened(toy, lambda share: (edge / share) ** 4)
    assert found is not None
    assert len(asked) <= 5
    inside = [share for share in asked if share >= edge]
    assert left(found.model, toy.teacher, toy.texts.take(range(32))) == min(inside)
    assert min(inside) < 1.7 * edge  # no step is longer
    assert len(found.tried) == len(asked)


def test_the_count_is_that_of_the_weights(toy: Any) -> None:
    found, asked = lightened(toy, lambda _: 0.5)
    assert found is not None
    assert found.share - 0.1 < asked[-1] <= found.share  # widths are whole heads and neurons
    texts = toy.texts.take(range(32))
    table = multiplications(toy.teacher.config, float(texts.lengths.mean()))
    sizes = [model.config.layer_sizes for model in (found.model, toy.teacher)]
    assert table.predict(sizes[0]) / table.predict(sizes[1]) == pytest.approx(asked[-1])


def test_where_nothing_is_inside_nothing_is_kept(toy: Any) -> None:
    found, asked = lightened(toy, lambda _: 9.0)
    assert found is None
    assert 0.85 < max(asked) <= 0.9
