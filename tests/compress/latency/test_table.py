"""The latency table: what it predicts, that the fit finds planted costs, that JSON keeps it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from compress.encoder.config import LayerSizes
from compress.latency.table import (
    Curve,
    LatencyTable,
    LayerCosts,
    fit_latency_table,
    head_grid,
    neuron_grid,
)

TABLE = LatencyTable(
    base_ms=0.5,
    inner=LayerCosts(Curve((0, 1, 2), (0.1, 0.3, 0.4)), Curve((0, 64, 128), (0.0, 0.5, 0.7))),
    last=LayerCosts(Curve((0, 1, 2), (0.0, 0.1, 0.1)), Curve((0, 64, 128), (0.0, 0.05, 0.1))),
)


def sizes(*pairs: tuple[int, int]) -> tuple[LayerSizes, ...]:
    return tuple(LayerSizes(heads, 8, neurons) for heads, neurons in pairs)


def test_a_prediction_adds_base_and_layers() -> None:
    assert TABLE.predict(sizes((2, 128))) == pytest.approx(0.5 + 0.1 + 0.1)
    assert TABLE.predict(sizes((1, 96), (0, 0))) == pytest.approx(0.5 + 0.3 + 0.6)
    assert TABLE.predict(sizes((0, 0), (2, 64), (1, 32))) == pytest.approx(
        0.5 + 0.1 + 0.4 + 0.5 + 0.1 + 0.05
    )


def test_what_was_not_measured_is_not_predicted() -> None:
    with pytest.raises(ValueError, match="size 129 is outside"):
        TABLE.predict(sizes((1, 129)))
    with pytest.raises(ValueError, match="without layers"):
        TABLE.predict(())


def test_json_keeps_a_table() -> None:
    import json

    assert LatencyTable.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE


def without_base(value: dict[str, Any]) -> None:
    del value["base_ms"]


def falling(value: dict[str, Any]) -> None:
    value["inner"]["attention_ms"]["ms"] = [0.3, 0.2, 0.1]


def too_short(value: dict[str, Any]) -> None:
    value["last"]["feed_forward_ms"]["ms"] = [0.0]


def not_a_dict(value: dict[str, Any]) -> None:
    value["inner"] = 3


@pytest.mark.parametrize("damage", [without_base, falling, too_short, not_a_dict])
def test_a_damaged_table_is_refused(damage: Callable[[dict[str, Any]], None]) -> None:
    value = TABLE.to_json()
    damage(value)
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        LatencyTable.from_json(value)


def test_grids() -> None:
    assert head_grid(4) == (0, 1, 2, 3, 4)
    assert head_grid(12) == (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
    assert neuron_grid(1536) == (0, 64, 128, 192, 256, 384, 512, 768, 1024, 1536)
    assert neuron_grid(1200)[-2:] == (1024, 1200)
    assert neuron_grid(32) == (0, 16, 32)
    assert neuron_grid(0) == head_grid(0) == (0,)


def random_shapes(
    count: int, heads: Sequence[int], neurons: Sequence[int], seed: int
) -> list[tuple[LayerSizes, ...]]:
    rng = np.random.default_rng(seed)
    return [
        sizes(
            *((int(rng.choice(heads)), int(rng.choice(neurons))) for _ in range(rng.integers(1, 4)))
        )
        for _ in range(count)
    ]


def test_the_fit_finds_planted_costs() -> None:
    heads, neurons = (0, 1, 2), (0, 64, 128)
    shapes = random_shapes(60, heads, neurons, 0)
    ms = np.asarray([TABLE.predict(shape) for shape in shapes])
    fitted = fit_latency_table(shapes, ms, heads=heads, neurons=neurons)
    assert fitted.base_ms == pytest.approx(0.5, rel=1e-3)
    for name in ("inner", "last"):
        for curve in ("attention_ms", "feed_forward_ms"):
            expected = getattr(getattr(TABLE, name), curve)
            np.testing.assert_allclose(
                getattr(getattr(fitted, name), curve).ms, expected.ms, atol=1e-3
            )


def test_noise_bends_no_curve_downwards() -> None:
    heads, neurons = head_grid(4), neuron_grid(256)
    shapes = random_shapes(40, heads, neurons, 1)
    ms = np.random.default_rng(2).uniform(0.5, 2.0, size=40)  # nothing but noise
    fitted = fit_latency_table(shapes, ms, heads=heads, neurons=neurons)
    # Curve itself refuses costs that are negative or fall; the fit must never offer such
    assert fitted.base_ms >= 0
    assert fitted.inner.attention_ms.sizes == heads
    assert fitted.last.feed_forward_ms.sizes == neurons


def test_errors_count_relative_to_each_model() -> None:
    """Two models that no table fits both: the compromise lies at the same ratio of each."""
    shapes = [sizes((0, 0)), sizes((0, 0)), sizes((0, 0), (0, 0)), sizes((0, 0), (0, 0))]
    fitted = fit_latency_table(
        shapes, np.asarray([0.9, 1.1, 90.0, 110.0]), heads=(0, 1), neurons=(0, 64)
    )
    # minimises (1 - x/0.9)^2 + (1 - x/1.1)^2 at each depth
    best = (1 / 0.9 + 1 / 1.1) / (1 / 0.9**2 + 1 / 1.1**2)
    assert fitted.predict(shapes[0]) == pytest.approx(best, rel=1e-6)
    assert fitted.predict(shapes[2]) == pytest.approx(100 * best, rel=1e-6)


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="timings above 0"):
        fit_latency_table([], np.zeros(0), heads=(0, 1), neurons=(0, 64))
    with pytest.raises(ValueError, match="timings above 0"):
        fit_latency_table([sizes((1, 1))], np.zeros(1), heads=(0, 1), neurons=(0, 64))
