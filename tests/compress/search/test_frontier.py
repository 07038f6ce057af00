"""Closing in on the budget's edge."""

from collections.abc import Iterator

import pytest

from compress.search.frontier import BEYOND, Prospect, close_in, fill_gap, go_beyond


def search(
    edge: float, speedups: list[float], *, seconds: float = 1e9, each: float = 10.0
) -> tuple[list[float], list[tuple[float, float]]]:
    """Speed-ups in the end, and (made from, speed-up), where a drop of 1 is met up to `edge`."""
    now, made = 0.0, list[tuple[float, float]]()

    def candidate(speedup: float) -> Prospect[str]:
        return Prospect(speedup, f"x{speedup:.3g}", 0.5 if speedup <= edge else 1.5)

    def make(before: Prospect[str], speedup: float) -> Prospect[str] | None:
        nonlocal now
        now += each
        made.append((before.speedup, speedup))
        return candidate(speedup) if speedup < 10 else None

    found = close_in(
        [candidate(s) for s in speedups],
        make,
        max_drop=1.0,
        deadline=seconds,
        longest_s=each,
        clock=lambda: now,
    )
    return [c.speedup for c in found], made


@pytest.mark.parametrize("edge", [1.05, 2.4, 2.9])
def test_the_edge_is_enclosed(edge: float) -> None:
    speedups, made = search(edge, [1.0, 1.4, 2.0, 3.0])
    inside = max(s for s in speedups if s <= edge)
    outside = min(s for s in speedups if s > edge)
    assert outside / inside < 1.06**2
    assert speedups == sorted(speedups)
    assert all(before < speedup and before <= edge for before, speedup in made)


def test_where_all_are_inside_it_goes_beyond_until_out_of_reach() -> None:
    speedups, _ = search(100.0, [1.0, 4.0])
    assert speedups == pytest.approx([1.0, 4.0, 4 * BEYOND, 4 * BEYOND**2, 4 * BEYOND**3])


def test_it_ends_where_no_sizes_lie_between() -> None:
    """A small encoder has few sizes: what is asked for between two of them is the faster one."""
    made = list[float]()

    def make(before: Prospect[None], speedup: float) -> Prospect[None]:
        made.append(speedup)
        return Prospect(3.0, None, 1.5)

    found = close_in(
        [Prospect(1.0, None, 0.0), Prospect(3.0, None, 1.5)],
        make,
        max_drop=1.0,
        deadline=1e9,
        longest_s=1.0,
        clock=lambda: float(len(made)),
    )
    assert len(made) == 1
    assert [candidate.speedup for candidate in found] == [1.0, 3.0, 3.0]


def test_the_unpruned_model_counts_as_inside() -> None:
    speedups, made = search(0.5, [1.0, 2.0])
    assert made[0][0] == 1.0
    assert speedups[0] == 1.0


def steps() -> Iterator[tuple[float, int]]:
    yield 5.0, 0  # not even one fits
    yield 12.0, 1
    yield 25.0, 2


@pytest.mark.parametrize(("seconds", "count"), list(steps()))
def test_nothing_is_begun_that_would_end_too_late(seconds: float, count: int) -> None:
    _, made = search(2.4, [1.0, 1.4, 2.0, 3.0], seconds=seconds)
    assert len(made) == count


@pytest.mark.parametrize(
    ("edge", "expected"), [(1.9, [1.0, 2.0]), (3.0, [1.0, 2.0, 2.6, 3.38]), (1e9, [1.0, 2.0, 2.6])]
)
def test_faster_members_while_the_last_is_inside(edge: float, expected: list[float]) -> None:
    reach = 3.0 if edge == 1e9 else 100.0

    def candidate(speedup: float) -> Prospect[None]:
        return Prospect(speedup, None, 0.5 if speedup <= edge else 1.5)

    found = go_beyond(
        [candidate(1.0), candidate(2.0)],
        lambda before, speedup: candidate(speedup) if speedup < reach else None,
        max_drop=1.0,
    )
    assert [c.speedup for c in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        (0.0, [1.0, 2.0**0.5, 2.0, 2.8]),  # the unpruned one counts as inside
        (1.0, [1.0, 2.0**0.5, 2.0, 2.8]),
        (2.0, [1.0, 2.0, 2.8]),  # 2.8 is near enough
        (9.0, [1.0, 2.0, 2.8]),
    ],
)
def test_a_wide_gap_at_the_edge_is_filled(edge: float, expected: list[float]) -> None:
    def candidate(speedup: float) -> Prospect[None]:
        return Prospect(speedup, None, 0.5 if speedup <= edge else 1.5)

    given = [candidate(1.0), candidate(2.0), candidate(2.8)]
    found = fill_gap(given, lambda before, speedup: candidate(speedup), max_drop=1.0)
    assert [c.speedup for c in found] == pytest.approx(expected)
    assert fill_gap(given, lambda *_: None, max_drop=1.0) == given  # out of reach


def test_without_any_pruned_member_there_is_nothing_to_go_beyond() -> None:
    only = [Prospect(1.0, None, 0.0)]
    assert go_beyond(only, lambda *_: pytest.fail("made"), max_drop=1.0) == only
