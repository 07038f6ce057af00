"""Predicts what a model of given sizes costs, by a table fitted to measured models.

The table is additive: a constant, and for every layer what its attention costs by the number of
heads and what its feed-forward network costs by width. ZipLM prunes by such a table too (Kurtic et
al. 2023, https://arxiv.org/abs/2302.04089). Measuring is in `compress.latency.measurement`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.encoder.config import LayerSizes

__all__ = ["Curve", "LatencyTable", "LayerCosts", "fit_latency_table", "head_grid", "neuron_grid"]

FloatArray = NDArray[np.float64]

# How strongly neighbouring slopes of a curve are pulled together, against relative errors of 1:
# enough to steady steps that few models tell apart, too little to bend what is measured.
_SMOOTHNESS = 0.1


@dataclass(frozen=True)
class Curve:
    """Cost by size: straight lines between grid points, never falling.

    Below the first point above 0 it is level: what exists at all pays for its operators, and next
    to that a few neurons more or less are nothing.

    Attributes:
        sizes: Ascending grid points; the first is 0.
        ms: Milliseconds at each.
    """

    sizes: tuple[int, ...]
    ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.ms):
            raise ValueError("a latency curve needs as many costs as sizes, and at least one")
        if self.sizes[0] != 0 or any(np.diff(self.sizes) <= 0):
            raise ValueError(f"sizes of a latency curve ascend from 0, got {self.sizes}")
        if not np.isfinite(self.ms).all() or self.ms[0] < 0 or any(np.diff(self.ms) < 0):
            raise ValueError(f"costs of a latency curve are not negative and never fall: {self.ms}")

    def at(self, size: int) -> float:
        """Return the milliseconds at a size.

        Raises:
            ValueError: The size is beyond the grid: nothing so large was measured.
        """
        if not 0 <= size <= self.sizes[-1]:
            raise ValueError(f"size {size} is outside the latency table (0 to {self.sizes[-1]})")
        if 0 < size < self.sizes[1]:
            return self.ms[1]
        return float(np.interp(size, self.sizes, self.ms))


@dataclass(frozen=True)
class LayerCosts:
    """Costs of one layer.

    Attributes:
        attention_ms: By number of heads. What a layer costs with nothing left in it (two
            LayerNorms) is part of it.
        feed_forward_ms: By intermediate size; 0 at 0.
    """

    attention_ms: Curve
    feed_forward_ms: Curve

    def ms(self, heads: int, neurons: int) -> float:
        """Return the milliseconds of a layer of these sizes."""
        return self.attention_ms.at(heads) + self.feed_forward_ms.at(neurons)


@dataclass(frozen=True)
class LatencyTable:
    """Predicts p50 latency of the model alone, at batch 1, over the data's lengths.

    Attributes:
        base_ms: Embeddings, classifier, the overhead of a call, and what the last layer costs
            even when it is empty (every model has one, so the two cannot be told apart).
        inner: Every layer but the last.
        last: The last layer; where a classifier needs only its first token, it is much cheaper.
        measured: When, ISO 8601 in UTC; "" where that is not known.
        doubt: Why it is not to be relied on, such as `other processes used 48% of the cores`; ""
            where it is.
        watched: Whether the system told meanwhile who uses its cores.
    """

    base_ms: float
    inner: LayerCosts
    last: LayerCosts
    measured: str = field(default="", compare=False)
    doubt: str = field(default="", compare=False)
    watched: bool = field(default=False, compare=False)

    def predict(self, sizes: Sequence[LayerSizes]) -> float:
        """Return the milliseconds of a model with these layers.

        Args:
            sizes: L layers, L at least 1; their head size is the measured models'.

        Raises:
            ValueError: There is no layer, or one is larger than what was measured.
        """
        if not sizes:
            raise ValueError("a model without layers has no predicted latency")
        *inner, last = sizes
        total = self.base_ms + self.last.ms(last.heads, last.intermediate_size)
        return total + sum(self.inner.ms(s.heads, s.intermediate_size) for s in inner)

    def describe(self) -> str:
        """Say when it was measured, and how quiet the machine was."""
        when = f"of {self.measured}" if self.measured else "of an unknown day"
        if self.doubt:
            return f"{when}, not to be relied on: {self.doubt}"
        if self.watched:
            return f"{when}, measured while the machine was quiet"
        return f"{when}, nothing told whether the machine was quiet"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LatencyTable":
        """Return the table that `to_json` gave.

        Raises:
            ValueError: It is not a latency table.
        """
        try:
            return cls(
                base_ms=float(value["base_ms"]),
                inner=_costs_from_json(value["inner"]),
                last=_costs_from_json(value["last"]),
                measured=str(value.get("measured", "")),
                doubt=str(value.get("doubt", "")),
                watched=value.get("watched") is True,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a latency table: {error!r}") from error


def head_grid(heads: int) -> tuple[int, ...]:
    """Return the numbers of heads to measure: every one up to 8, then every second."""
    return tuple(sorted({*range(min(heads, 8) + 1), *range(8, heads, 2), heads}))


def neuron_grid(neurons: int) -> tuple[int, ...]:
    """Return the widths to measure: 64, 128, 192, 256, 384, 512, 768 ..., multiples of a register.

    Between powers of two lies one more, so neighbours differ by a third to a half.
    """
    if neurons <= 64:
        return tuple(sorted({0, neurons // 2, neurons}))
    powers = [64 << k for k in range(neurons.bit_length())]
    widths = [*powers, *(power + power // 2 for power in powers[1:])]
    return tuple(sorted({0, neurons, *(width for width in widths if width < neurons)}))


def fit_latency_table(
    shapes: Sequence[Sequence[LayerSizes]],
    ms: FloatArray,
    *,
    heads: Sequence[int],
    neurons: Sequence[int],
) -> LatencyTable:
    """Fit the table whose predictions are nearest to the measured models, relative to each.

    Non-negative least squares over the rises of each curve, so no cost is negative and none falls
    with size. Errors are relative: a fast model counts as much as a slow one.

    Args:
        shapes: N models.
        ms: (N,) measured milliseconds.
        heads: Grid of the attention curves, ascending from 0.
        neurons: Grid of the feed-forward curves, ascending from 0.

    Raises:
        ValueError: Nothing was measured, or a timing is not above 0.
    """
    from scipy.optimize import nnls

    if len(shapes) == 0 or len(shapes) != len(ms) or not (ms > 0).all():
        raise ValueError("a latency table is fitted to models with timings above 0")
    head_edges, neuron_edges = np.asarray(heads, float), np.asarray(neurons, float)
    # Unknowns: base, empty inner layer, then rises of inner attention, inner feed-forward,
    # last attention, last feed-forward.
    rows = np.stack([_row(shape, head_edges, neuron_edges) for shape in shapes])
    grids = [head_edges, neuron_edges, head_edges, neuron_edges]
    smooth = _smoothness(grids, offset=2) * _SMOOTHNESS / np.median(ms)
    system = np.concatenate([rows / ms[:, None], smooth])
    goal = np.concatenate([np.ones(len(ms)), np.zeros(len(smooth))])
    found, _ = nnls(system, goal)
    empty, *curves = np.split(found[1:], np.cumsum([1, *(len(g) - 1 for g in grids[:3])]))
    starts = [float(empty[0]), 0.0, 0.0, 0.0]
    inner_heads, inner_neurons, last_heads, last_neurons = (
        Curve(tuple(map(int, grid)), tuple((start + np.cumsum([0.0, *rises])).tolist()))
        for grid, start, rises in zip(grids, starts, curves, strict=True)
    )
    return LatencyTable(
        base_ms=float(found[0]),
        inner=LayerCosts(inner_heads, inner_neurons),
        last=LayerCosts(last_heads, last_neurons),
    )


def _row(shape: Sequence[LayerSizes], heads: FloatArray, neurons: FloatArray) -> FloatArray:
    """Return how often each unknown of the fit occurs in a model."""
    inner = np.zeros(len(heads) + len(neurons) - 2)
    for sizes in shape[:-1]:
        inner += _rises(sizes, heads, neurons)
    base_and_empty = [1.0, len(shape) - 1.0]
    return np.concatenate([base_and_empty, inner, _rises(shape[-1], heads, neurons)])


def _rises(sizes: LayerSizes, heads: FloatArray, neurons: FloatArray) -> FloatArray:
    """Return the share of each step of its two curves that a layer climbs."""
    return np.concatenate(
        [
            ((size - grid[:-1]) / np.diff(grid)).clip(0.0, 1.0)
            for size, grid in ((sizes.heads, heads), (sizes.intermediate_size, neurons))
        ]
    )


def _smoothness(grids: Sequence[FloatArray], offset: int) -> FloatArray:
    """Return (R, unknowns) differences of neighbouring slopes, each times its curve's width.

    The first step is left free: it is where a sublayer begins to exist and pays its overhead.
    """
    unknowns = offset + sum(len(grid) - 1 for grid in grids)
    rows = []
    for grid in grids:
        steps = np.diff(grid)
        for k in range(1, len(steps) - 1):
            row = np.zeros(unknowns)
            row[offset + k], row[offset + k + 1] = 1 / steps[k], -1 / steps[k + 1]
            rows.append(row * grid[-1])
        offset += len(steps)
    return np.stack(rows) if rows else np.zeros((0, unknowns))


def _costs_from_json(value: Mapping[str, Any]) -> LayerCosts:
    curves = (value["attention_ms"], value["feed_forward_ms"])
    attention, feed_forward = (
        Curve(tuple(int(s) for s in curve["sizes"]), tuple(float(m) for m in curve["ms"]))
        for curve in curves
    )
    return LayerCosts(attention, feed_forward)
