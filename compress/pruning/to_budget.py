"""Shrinks a model as far as an accuracy budget allows, by least squares alone.

Which heads and neurons go is told by `compress.pruning.compensated`, how many of each sublayer by a
knapsack (`compress.pruning.knapsack`) over the multiplications that they take; what is left is
refitted (`compress.pruning.reconstruction`). Of sizes tried the smallest inside the budget is kept.
Nothing is measured or trained: it takes minutes.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from compress.data.tokenized import TokenizedTexts
from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import SlicePlan, slice_model
from compress.latency.table import Curve, LatencyTable, LayerCosts
from compress.pruning.importance import Importance
from compress.pruning.knapsack import Shape, choose_sizes
from compress.pruning.reconstruction import repair_outputs
from compress.system.progress import Progress

__all__ = ["Lightened", "lighten", "multiplications"]

_log = logging.getLogger("edgepress")

# Sizes that are tried, and at most while none is inside; each is refitted and asked about all texts
# that choose.
_TRIES, _MOST_TRIES = 2, 5
# Of the multiplications, no fewer and no more are left: less than a tenth to gain is not worth it.
_LEAST, _MOST = 0.1, 0.9
# Where to begin: what scores say is lost a decision (nats) for each point of the budget. What a
# model loses grows about with this power of what is left (docs/log.md).
_LOST_A_POINT, _POWER = 0.006, -3.0
# One step goes no further than this, and sizes nearer than that are one.
_STEP, _SAME = 0.6, 1.08
_LEAST_BUDGET = 0.1  # points


@dataclass(frozen=True)
class Lightened:
    """A smaller model.

    Attributes:
        model: Refitted, not trained.
        plan: What was cut away.
        share: Of the layers' multiplications, what is left.
        tried: By share, the points that a model's drop probably stays below.
    """

    model: LeanEncoderWithHead
    plan: SlicePlan
    share: float
    tried: dict[float, float]


def lighten(
    model: LeanEncoderWithHead,
    scores: Importance,
    texts: TokenizedTexts,
    drop_of: Callable[[LeanEncoderWithHead], float],
    max_drop: float,
    *,
    lost_a_decision: float,
    neuron_step: int,
    progress: Progress,
) -> Lightened | None:
    """Remove heads and neurons while the drop is probably inside the budget.

    Args:
        model: Left as it was.
        scores: Of its parts.
        texts: Some hundred training texts, to refit on.
        drop_of: Points that a model's drop probably stays below.
        max_drop: Budget in points.
        lost_a_decision: What a score of 1 says that one decision loses.
        neuron_step: FFN widths are multiples of this.
        progress: Told of each part.

    Returns:
        The smallest of those tried inside the budget; None where none of them is.
    """
    config = model.config
    table = multiplications(config, float(texts.lengths.mean()))
    whole = table.predict(config.layer_sizes)

    def shape_of(share: float) -> Shape | None:
        return choose_sizes(
            scores,
            table,
            share * whole,
            neuron_step=neuron_step,
            head_size=config.layer_sizes[0].head_size,
            smallest_neurons=neuron_step,
        )

    def expected(share: float) -> float:
        shape = shape_of(share)
        return math.inf if shape is None else shape.lost * lost_a_decision

    grid = [place / 20 for place in range(round(20 * _LEAST), round(20 * _MOST) + 1)]
    share = next((s for s in grid if expected(s) <= _LOST_A_POINT * max_drop), _MOST)
    best: Lightened | None = None
    tried, inside, outside = dict[float, float](), 1.0, 0.0
    for turn in range(_MOST_TRIES):
        if turn >= _TRIES and best is not None:
            break
        shape = shape_of(share)
        drop = math.inf
        if shape is not None:
            smaller = slice_model(model, plan := shape.plan())
            repair_outputs(smaller, model, texts, range(len(config.layers)), progress=progress)
            drop = drop_of(smaller)
            tried[round(share, 3)] = round(drop, 2)
            _log.info("prune: %.0f%% of the multiplications, drop < %.2f", 100 * share, drop)
        if drop <= max_drop and shape is not None:
            inside, best = share, Lightened(smaller, plan, share, tried)
        else:
            outside = share
        wanted = share * max(drop / max(max_drop, _LEAST_BUDGET), 1e-3) ** (-1 / _POWER)
        following = min(max(wanted, share * _STEP), share / _STEP, _MOST)
        if not outside * _SAME < following < inside / _SAME:  # between what is known already
            following = math.sqrt(max(outside, _LEAST) * inside)
        if inside / max(outside, _LEAST) < _SAME**2 or (best is None and share >= _MOST):
            break
        share = max(following, _LEAST)
    return best


def multiplications(config: LeanEncoderConfig, tokens: float) -> LatencyTable:
    """Return what sizes cost in millions of multiplications with weights, in place of milliseconds.

    Args:
        config: The largest model to tell of.
        tokens: Of a text.
    """
    width, sizes = config.hidden_size, config.layer_sizes
    most_heads = max(layer.heads for layer in sizes)
    most_neurons = max(layer.intermediate_size for layer in sizes)
    head = sizes[0].head_size * width / 1e6

    def layer(queries: float) -> LayerCosts:
        """With keys and values of every token, and of so many the rest."""
        per_head, per_neuron = 2 * head * (tokens + queries), 2 * width * queries / 1e6
        return LayerCosts(_line(most_heads, per_head), _line(most_neurons, per_neuron))

    last = layer(1.0 if config.first_token_last_layer else tokens)
    return LatencyTable(0.0, layer(tokens), last)


def _line(most: int, each: float) -> Curve:
    """Return costs in proportion to size."""
    sizes = sorted({0, min(1, most), most})
    return Curve(tuple(sizes), tuple(size * each for size in sizes))
