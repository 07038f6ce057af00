"""Chooses heads and neurons for a latency target: dynamic programming over a latency table.

Every sublayer must take one of several sizes; each size costs milliseconds and loses the importance
of the parts that go. The combination that loses least within the target is a multiple-choice
knapsack, solved exactly but for the rounding of costs to a grid of budgets, as SPDY (Frantar and
Alistarh 2022, https://arxiv.org/abs/2201.13096) and ZipLM (Kurtic et al. 2023,
https://arxiv.org/abs/2302.04089) do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.encoder.config import LayerSizes
from compress.encoder.surgery import SlicePlan
from compress.latency.table import Curve, LatencyTable
from compress.pruning.importance import Importance

__all__ = ["Shape", "choose_sizes"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Heads and neurons that stay of a model of L layers.

    Attributes:
        heads: L ascending tuples of head indices.
        neurons: L ascending tuples of neuron indices.
        predicted_ms: Latency by the table, not above the target.
        lost: Importance of all that goes.
    """

    heads: tuple[tuple[int, ...], ...]
    neurons: tuple[tuple[int, ...], ...]
    predicted_ms: float
    lost: float

    def plan(self) -> SlicePlan:
        """Return the plan for `compress.encoder.surgery.slice_model`; it keeps all layers."""
        return SlicePlan(heads=dict(enumerate(self.heads)), neurons=dict(enumerate(self.neurons)))


@dataclass(frozen=True)
class _Sublayer:
    """One group of the knapsack, with K choices, smallest first.

    Attributes:
        order: (size,) indices of heads or neurons, least important first.
        sizes: (K,) how many stay.
        ms: (K,) what that costs.
        lost: (K,) importance of what goes.
    """

    order: NDArray[np.int64]
    sizes: NDArray[np.int64]
    ms: FloatArray
    lost: FloatArray

    def kept(self, choice: int) -> tuple[int, ...]:
        gone = len(self.order) - int(self.sizes[choice])
        return tuple(sorted(self.order[gone:].tolist()))


def choose_sizes(
    importance: Importance,
    table: LatencyTable,
    target_ms: float,
    *,
    neuron_step: int,
    head_size: int,
    smallest_heads: int = 1,
    smallest_neurons: int = 64,
    bins: int = 4000,
) -> Shape | None:
    """Choose the most important heads and neurons whose predicted latency is within a target.

    Layers stay; of each sublayer the most important parts do. A sublayer that is smaller than
    the smallest size already stays as it is.

    Costs are rounded up to `bins` budgets, so the target is never exceeded; what rounding wastes
    is below (sublayers / bins) of what the target leaves above the smallest model.

    Args:
        importance: Scores of the L layers that the model has. Fisher scores estimate to second
            order how much the loss rises, so those of heads and of neurons add up as they are.
        table: Measured for models at least as large.
        target_ms: Latency of the model alone.
        neuron_step: Widths are multiples of it, or the present width.
        head_size: Width of a head.
        smallest_heads: Heads that a layer keeps at least; with 0 it may lose its attention.
        smallest_neurons: Neurons that a layer keeps at least (rounded up to `neuron_step`); with
            0 it may lose its feed-forward network.
        bins: Budgets told apart.

    Returns:
        None when even the smallest model is predicted to be slower than the target.

    Raises:
        ValueError: There is no layer; a step or number of bins is not above 0; or a
            layer is larger than the table.
    """
    if not importance.heads or neuron_step < 1 or bins < 1:
        raise ValueError("choose_sizes needs a layer, and steps and bins above 0")
    groups: list[_Sublayer] = []
    last = len(importance.heads) - 1
    for layer, (heads, neurons) in enumerate(
        zip(importance.heads, importance.neurons, strict=True)
    ):
        costs = table.last if layer == last else table.inner
        head_sizes = range(min(smallest_heads, len(heads)), len(heads) + 1)
        widths = _widths(len(neurons), neuron_step, smallest_neurons)
        groups.append(_sublayer(heads, head_sizes, costs.attention_ms))
        groups.append(_sublayer(neurons, widths, costs.feed_forward_ms))

    def shape(choices: Sequence[int]) -> Shape:
        kept = [group.kept(choice) for group, choice in zip(groups, choices, strict=True)]
        heads, neurons = tuple(kept[::2]), tuple(kept[1::2])
        sizes = [LayerSizes(len(h), head_size, len(n)) for h, n in zip(heads, neurons, strict=True)]
        lost = sum(float(group.lost[k]) for group, k in zip(groups, choices, strict=True))
        return Shape(heads, neurons, table.predict(sizes), lost)

    everything = shape([len(group.sizes) - 1 for group in groups])
    if everything.predicted_ms <= target_ms:
        return everything
    smallest = shape([0] * len(groups))
    # A margin is left for the rounding of sums that are taken in another order.
    spare = (target_ms - smallest.predicted_ms) * (1 - 1e-9)
    if spare < 0:
        return None
    return smallest if spare == 0 else shape(_knapsack(groups, spare, bins))


def _widths(neurons: int, step: int, smallest: int) -> list[int]:
    """Return widths to choose from, ascending; the present one is always among them."""
    first = -(-smallest // step) * step
    return sorted({*range(first, neurons, step), neurons})


def _sublayer(scores: FloatArray, sizes: Sequence[int], costs: Curve) -> _Sublayer:
    order = np.argsort(scores, kind="stable")
    lost = np.concatenate([[0.0], np.cumsum(scores[order])])  # by the number of parts that go
    chosen = np.asarray(sizes, dtype=np.int64)
    ms = np.asarray([costs.at(size) for size in sizes])
    return _Sublayer(order, chosen, ms, lost[len(scores) - chosen])


def _knapsack(groups: Sequence[_Sublayer], spare: float, bins: int) -> list[int]:
    """Return the choices that lose least, for at most `spare` ms above the smallest ones."""
    least = np.zeros(bins + 1)  # importance lost by the groups so far, by budget in bins
    taken = np.zeros((len(groups), bins + 1), dtype=np.int64)
    prices = [_prices(group, spare, bins) for group in groups]
    for number, (group, price) in enumerate(zip(groups, prices, strict=True)):
        best = np.full(bins + 1, np.inf)
        for choice, cost in enumerate(price.tolist()):
            if cost > bins:
                continue
            lost = least[: bins + 1 - cost] + group.lost[choice]
            better = lost < best[cost:]  # of equals the smaller stays
            best[cost:][better] = lost[better]
            taken[number, cost:][better] = choice
        least = best
    choices, budget = [], bins
    for number in reversed(range(len(groups))):
        choices.append(int(taken[number, budget]))
        budget -= int(prices[number][choices[-1]])
    return choices[::-1]


def _prices(group: _Sublayer, spare: float, bins: int) -> NDArray[np.int64]:
    """Return (K,) what each choice costs above the smallest, in bins, rounded up."""
    share = (group.ms - group.ms[0]) / spare * bins
    return np.ceil(share.clip(max=2.0 * bins)).astype(np.int64)
