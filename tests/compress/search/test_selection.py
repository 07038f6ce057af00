"""The choice: the fastest inside the budget, with what is known about the drop."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.expected import ExpectedDrop
from benchmarks.metrics import Drop
from benchmarks.report import Percentiles, Row
from benchmarks.stats import Interval
from compress.search.selection import (
    Choice,
    Figures,
    choose,
    fastest_inside,
    probable_drop,
    taken_together,
)


def row(
    name: str, p50: float, lost: float, spread: float = 0.0, expected: float | None = None
) -> Row:
    return Row(
        id=name,
        model=name,
        runtime="onnxruntime",
        device="cpu",
        precision="int8",
        end_to_end_ms=Percentiles(p50, p50, p50, 10, p50, p50),
        drop=Drop(lost, lost - spread, lost + spread, 0.5),
        expected_drop=ExpectedDrop(lost if expected is None else expected, spread / 1.96),
    )


def chosen(rows: list[Row], max_drop: float = 1.0, confidence: float = 0.7) -> str | None:
    return choose(rows, max_drop=max_drop, confidence=confidence, names={}).row_id


def test_the_fastest_inside_the_budget() -> None:
    rows = [row("slow", 3, 0), row("fast", 1, 0.9), row("fastest", 0.5, 1.1)]
    assert chosen(rows) == "fast"
    assert chosen(rows, max_drop=2) == "fastest"
    assert chosen(rows, max_drop=0) == "slow"


def test_of_those_that_are_level_the_most_accurate_wins() -> None:
    rows = [row("a", 1.00, 0.6), row("b", 1.02, 0.1), row("c", 1.05, 0.0)]
    choice = choose(rows, max_drop=1.0, confidence=0.5, names={})
    assert choice.row_id == "b"
    assert "as fast as any" in choice.reasons[-1]


def test_rows_timed_apart_are_ranked_by_their_ratios() -> None:
    def timed(name: str, p50: float, times: float) -> Row:
        return replace(row(name, p50, 0.0), speedup=Interval(times, times, times))

    in_a_slow_minute = timed("faster", 1.5, 12)
    assert chosen([in_a_slow_minute, timed("slower", 1.0, 10)]) == "faster"
    assert chosen([in_a_slow_minute, row("without a ratio", 1.0, 0.0)]) == "without a ratio"


def test_an_uncertain_drop_needs_room() -> None:
    rows = [row("sure", 2, 0.5), row("unsure", 1, 0.9, spread=2.0)]
    assert chosen(rows) == "sure"
    assert chosen(rows, confidence=0.5) == "unsure"


def test_the_expected_drop_decides_not_the_measured_one() -> None:
    rows = [row("sure", 2, 0.5), row("unlucky", 1, 1.4, expected=0.6)]
    assert chosen(rows) == "unlucky"
    rows = [row("sure", 2, 0.5), row("lucky", 1, 0.2, expected=1.2)]
    assert chosen(rows) == "sure"


def test_what_is_expected_decides_where_none_is_sure() -> None:
    choice = choose(
        [row("a", 1, 0.9, spread=2.0), row("b", 0.5, 5.0)], max_drop=1, confidence=0.7, names={}
    )
    assert choice.row_id == "a"
    assert "by what is expected" in choice.reasons[-1]


def test_reasons_are_sentences_for_people() -> None:
    rows = [row("a", 0.23, 0.69, 0.6, expected=0.67), row("b", 0.41, -0.31, 0.1)]
    reasons = choose(rows, max_drop=1.0, confidence=0.7, names={"a": "x3", "b": "x2"}).reasons
    assert reasons == (
        "x3 (0.23 ms) loses an expected 0.67 points (0.69 lost measured on the selection split), "
        "with 70% certainty loses less than 0.83; the budget is 1: accepted.",
        "x2 (0.41 ms) gains an expected 0.31 points (0.31 gained measured on the selection split), "
        "with 70% certainty gains more than 0.28; the budget is 1: accepted.",
        "x3 was chosen: the fastest within 1 point.",
    )


def test_a_lucky_faster_one_is_taken_together_with_the_slower_one() -> None:
    """Cut from a member that loses too much, it loses too much: less is luck."""
    unlucky, lucky = row("slow", 2, 1.6, 0.6), row("fast", 1, 0.7, 0.6)
    choice = choose([row("full", 3, 0.0), unlucky, lucky], max_drop=1, confidence=0.7, names={})
    assert choice.row_id == "full"
    assert choice.reasons[2] == (
        "fast (1.00 ms) loses an expected 0.70 points (0.70 lost measured on the selection split, "
        "1.15 lost together with those next to it in speed), with 70% certainty loses less than "
        "1.31; the budget is 1: too much."
    )
    # one that is hardly known counts little beside one that is
    hardly = row("slow", 2, 1.6, 6.0)
    assert chosen([hardly, lucky]) == "fast"
    # and what answers on another runtime says nothing of it
    assert chosen([replace(unlucky, runtime="openvino"), lucky]) == "fast"


@given(
    st.lists(st.tuples(st.floats(0.1, 9), st.floats(-5, 5), st.floats(0, 2)), max_size=8),
)
def test_taken_together_drops_never_fall_with_speed(
    found: list[tuple[float, float, float]],
) -> None:
    figures = [Figures("", pace, ExpectedDrop(*drop)) for pace, *drop in found]
    together = taken_together(figures)
    order = sorted(range(len(found)), key=lambda i: -found[i][0])
    values = [together[i].expected.value for i in order]
    assert all(a <= b + 1e-9 for a, b in pairwise(values))
    assert [one.expected.standard_error for one in together] == [error for *_, error in found]
    if all(found[a][1] <= found[b][1] for a, b in pairwise(order)):
        assert together == figures  # nothing to mend
    if found:
        weights = [max(error, 1e-6) ** -2 for *_, error in found]
        assert np.average([one.expected.value for one in together], weights=weights) == (
            pytest.approx(np.average([drop for _, drop, _ in found], weights=weights), abs=1e-6)
        )


@pytest.mark.parametrize(("confidence", "most"), [(0.7, 0.95), (0.9, 1.0)])
@pytest.mark.parametrize("texts", [436, 3000])
def test_the_budget_is_kept_as_often_as_is_promised(
    confidence: float, most: float, texts: int
) -> None:
    """Fronts of many members, whose luck differs: the fastest that seems inside was too lucky."""
    rng = np.random.default_rng(texts)
    inside = []
    for trial in range(1500):
        growth = (1.2, 1.3, 1.4)[trial % 3]
        truth = np.r_[0.0, rng.uniform(0.05, 0.4) * growth ** np.arange(18)]
        error = 7.5 * np.sqrt((1 + 4 * np.sqrt(truth)) / texts)
        shared, own = rng.normal(), rng.normal(size=len(truth))
        seen = truth + error * (np.sqrt(0.3) * shared + np.sqrt(0.7) * own)
        figures = [
            Figures("", 1 / (1 + place), ExpectedDrop(drop, spread))
            for place, (drop, spread) in enumerate(zip(seen, error, strict=True))
        ]
        budget = float(rng.choice([0.5, 1.0, 1.5, 2.0]))
        place = fastest_inside(figures, max_drop=budget, confidence=confidence)
        if place is not None:
            inside.append(truth[place] <= budget)
    assert len(inside) > 1400
    assert confidence <= np.mean(inside) <= most


def test_where_none_is_sure_the_safest_is_taken() -> None:
    rows = [row("safer", 2, 0.9, spread=1.0), row("faster", 1, 0.95, spread=3.0)]
    assert chosen(rows) == "safer"


def test_nothing_meets_the_budget() -> None:
    choice = choose([row("a", 1, 4.0)], max_drop=1, confidence=0.7, names={"a": "the model"})
    assert choice.row_id is None
    assert "the model" in choice.reasons[0]
    assert choice.reasons[-1] == "No candidate stays within 1 point."


def test_rows_that_failed_are_left_out_and_say_why() -> None:
    failed = replace(row("a", 0.1, 0), error="its process was killed")
    unmeasured = replace(row("b", 0.1, 0), drop=None)
    choice = choose([failed, unmeasured, row("c", 1, 0)], max_drop=1, confidence=0.7, names={})
    assert choice.row_id == "c"
    assert choice.reasons[0] == "a was not considered: its process was killed."
    assert choice.reasons[1] == "b was not considered: it was not measured."
    assert choose([], max_drop=1, confidence=0.7, names={}).row_id is None


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(0.5, 0.99))
def test_more_confidence_asks_for_more(value: float, error: float, confidence: float) -> None:
    drop = ExpectedDrop(value, error)
    assert probable_drop(drop, 0.5) == pytest.approx(value, abs=1e-9)
    assert probable_drop(drop, confidence) >= probable_drop(drop, 0.5) - 1e-9
    assert probable_drop(drop, 0.975) == pytest.approx(value + 1.96 * error, abs=1e-3)


def test_within_a_latency_the_least_drop_wins() -> None:
    rows = [row("slow", 3, 0), row("mid", 2, 0.4), row("fast", 1, 2.0)]

    def within(ms: float) -> Choice:
        return choose(rows, max_drop=0.1, confidence=0.7, names={}, target_latency_ms=ms)

    assert [within(ms).row_id for ms in (5, 2, 1.5, 0.5)] == ["slow", "mid", "fast", None]
    assert within(2).reasons[-1] == "mid was chosen: it loses least within 2 ms."
    assert within(0.5).reasons[-1] == "No candidate answers within 0.5 ms."
