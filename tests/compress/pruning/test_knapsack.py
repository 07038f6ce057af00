"""Choosing sizes: as good as trying every combination, and never above the target."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.encoder.config import LayerSizes
from compress.latency.table import Curve, LatencyTable, LayerCosts
from compress.pruning.importance import Importance
from compress.pruning.knapsack import Shape, choose_sizes

STEP = 2
CHOICE: dict[str, Any] = {"neuron_step": STEP, "head_size": 8, "smallest_neurons": 2}
CHOICE["smallest_heads"] = 0


def curve(draw: Any, size: int, start: float) -> Curve:
    rises = draw(st.lists(st.floats(0, 2).map(lambda x: round(x, 3)), min_size=size, max_size=size))
    costs = start + np.cumsum([0.0, *rises])
    return Curve(tuple(range(size + 1)), tuple(costs.tolist()))


@st.composite
def problems(draw: Any) -> tuple[Importance, LatencyTable]:
    layers = draw(st.integers(1, 2))
    heads = draw(st.lists(st.integers(0, 3), min_size=layers, max_size=layers))
    neurons = draw(st.lists(st.integers(0, 7), min_size=layers, max_size=layers))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    importance = Importance(
        tuple(rng.exponential(size=size) for size in heads),
        tuple(rng.exponential(size=size) / 3 for size in neurons),
    )
    costs = [LayerCosts(curve(draw, 3, 0.2), curve(draw, 7, 0.0)) for _ in range(2)]
    return importance, LatencyTable(0.3, *costs)


def sizes_of(heads: Any, neurons: Any) -> list[LayerSizes]:
    return [LayerSizes(h, 8, n) for h, n in zip(heads, neurons, strict=True)]


def widths_of(importance: Importance) -> list[list[int]]:
    """Widths that each layer may have."""
    return [
        sorted({*range(2, len(s), STEP), len(s)}) if len(s) > 2 else [len(s)]
        for s in importance.neurons
    ]


def least_lost(importance: Importance, table: LatencyTable, target: float) -> float | None:
    """By trying every combination."""
    heads = [range(len(scores) + 1) for scores in importance.heads]
    best = None
    for kept_heads in itertools.product(*heads):
        for kept_neurons in itertools.product(*widths_of(importance)):
            if table.predict(sizes_of(kept_heads, kept_neurons)) > target:
                continue
            parts = zip(
                (*importance.heads, *importance.neurons),
                (*kept_heads, *kept_neurons),
                strict=True,
            )
            lost = sum(np.sort(scores)[: len(scores) - kept].sum() for scores, kept in parts)
            best = lost if best is None else min(best, lost)
    return best


@settings(deadline=None, max_examples=150)
@given(problems(), st.floats(0.0, 1.1))
def test_nothing_better_fits(problem: tuple[Importance, LatencyTable], share: float) -> None:
    importance, table = problem
    full = sizes_of(map(len, importance.heads), map(len, importance.neurons))
    target = share * table.predict(full)
    found = choose_sizes(importance, table, target, bins=500, **CHOICE)
    best = least_lost(importance, table, target)
    if best is None:
        assert found is None
        return
    assert found is not None
    assert found.predicted_ms <= target
    sizes = sizes_of(map(len, found.heads), map(len, found.neurons))
    assert found.predicted_ms == table.predict(sizes)
    # no better than the best there is, and no worse than the best of a target hardly smaller
    assert found.lost >= best - 1e-9
    smallest = table.predict(sizes_of([0] * len(importance.heads), map(min, widths_of(importance))))
    nearly = least_lost(importance, table, target - (4 / 500 + 1e-8) * (target - smallest))
    assert nearly is not None, "what is above the smallest is cut, so that it still fits"
    assert found.lost <= nearly + 1e-9


@settings(deadline=None, max_examples=100)
@given(problems(), st.floats(0.0, 1.1), st.floats(0.0, 1.1))
def test_more_time_never_loses_more(
    problem: tuple[Importance, LatencyTable], one: float, other: float
) -> None:
    importance, table = problem
    full = table.predict(sizes_of(map(len, importance.heads), map(len, importance.neurons)))
    tight, loose = (
        choose_sizes(importance, table, share * full, bins=300, **CHOICE)
        for share in sorted((one, other))
    )
    if tight is not None:
        assert loose is not None
        assert loose.lost <= tight.lost + 1e-9


@settings(deadline=None, max_examples=100)
@given(problems(), st.floats(0.0, 1.1))
def test_what_stays_is_what_matters_most(
    problem: tuple[Importance, LatencyTable], share: float
) -> None:
    importance, table = problem
    full = table.predict(sizes_of(map(len, importance.heads), map(len, importance.neurons)))
    found = choose_sizes(importance, table, share * full, bins=300, **CHOICE)
    if found is None:
        return
    lost = 0.0
    pairs = [
        *zip(importance.heads, found.heads, strict=True),
        *zip(importance.neurons, found.neurons, strict=True),
    ]
    for scores, kept in pairs:
        assert list(kept) == sorted(set(kept))
        gone = sorted(set(range(len(scores))) - set(kept))
        lost += scores[gone].sum()
        if gone and kept:
            assert scores[gone].max() <= scores[list(kept)].min()
    assert found.lost == pytest.approx(lost, abs=1e-9)
    for widths, kept in zip(widths_of(importance), found.neurons, strict=True):
        assert len(kept) in widths


def steep(step: float, size: int) -> Curve:
    return Curve(tuple(range(size + 1)), tuple(step * i for i in range(size + 1)))


TABLE = LatencyTable(
    1.0, LayerCosts(steep(1.0, 2), steep(0.1, 8)), LayerCosts(steep(0.1, 2), steep(0.01, 8))
)
IMPORTANCE = Importance(
    heads=(np.asarray([1.0, 5.0]), np.asarray([1.0, 5.0])),
    neurons=(np.arange(8.0), np.arange(8.0)[::-1]),
)


def test_the_exact_time_of_the_full_model_keeps_everything() -> None:
    full = TABLE.predict(sizes_of((2, 2), (8, 8)))
    found = choose_sizes(IMPORTANCE, TABLE, full, **CHOICE)
    assert found is not None
    assert found.heads == ((0, 1), (0, 1))
    assert found.lost == 0


def test_the_exact_time_of_the_smallest_model_fits() -> None:
    smallest = TABLE.predict(sizes_of((1, 1), (4, 4)))
    arguments = {**CHOICE, "smallest_heads": 1, "smallest_neurons": 4}
    found = choose_sizes(IMPORTANCE, TABLE, smallest, **arguments)
    assert found == Shape(((1,), (1,)), ((4, 5, 6, 7), (0, 1, 2, 3)), smallest, 14.0)
    assert choose_sizes(IMPORTANCE, TABLE, np.nextafter(smallest, 0), **arguments) is None


def test_the_last_layer_is_cheap_to_keep() -> None:
    full = TABLE.predict(sizes_of((2, 2), (8, 8)))
    found = choose_sizes(IMPORTANCE, TABLE, full - 0.5, **CHOICE)
    assert found is not None
    assert len(found.neurons[1]) == 8
    assert len(found.heads[1]) == 2
    assert (len(found.heads[0]), len(found.neurons[0])) != (2, 8)


def test_a_shape_is_a_slice_plan() -> None:
    plan = Shape(((0,), ()), ((1, 2), (3,)), 1.0, 0.0).plan()
    assert plan.layers is None
    assert plan.heads == {0: (0,), 1: ()}
    assert plan.neurons == {0: (1, 2), 1: (3,)}


@pytest.mark.parametrize("wrong", [{"neuron_step": 0}, {"bins": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        choose_sizes(IMPORTANCE, TABLE, 1.0, **{**CHOICE, **wrong})


def test_a_layer_larger_than_the_table_is_refused() -> None:
    wide = Importance(heads=(np.ones(3),), neurons=(np.ones(8),))
    with pytest.raises(ValueError, match="outside the latency table"):
        choose_sizes(wide, TABLE, 1.0, **CHOICE)
