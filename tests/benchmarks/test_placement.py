"""Labels cover nothing, ticks have room, and what does not fit is known."""

from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.render.placement import Box, place_labels, shortened, spread, text_width
from benchmarks.render.scales import Scale

PAGE = Box(0, 0, 300, 200)


def test_labels_cover_neither_each_other_nor_what_is_taken() -> None:
    draw = Random(0)
    labels = [(f"row {i}", draw.uniform(0, 300), draw.uniform(0, 200)) for i in range(40)]
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for _, x, y in labels]
    boxes = place_labels(labels, taken, [], PAGE, size=12, gap=7)
    placed = [box for box in boxes if box is not None]
    assert len(placed) < len(labels)  # there are too many: some are left out
    assert len(placed) > 10
    assert not any(a.overlaps(b) for a, b in combinations(placed, 2))
    assert not any(box.overlaps(point) for box in placed for point in taken)
    assert all(box.within(PAGE) for box in placed)
    for box, (text, _, _) in zip(boxes, labels, strict=True):
        assert box is None or box.right - box.left == pytest.approx(text_width(text, 12))


def test_a_label_stands_beside_its_point_and_off_lines_if_it_can() -> None:
    [right] = place_labels([("a", 100, 100)], [], [], PAGE, size=12, gap=7)
    assert right is not None
    assert (right.left, (right.top + right.bottom) / 2) == (107, pytest.approx(100))
    line = Box(0, 99, 300, 101)
    [moved] = place_labels([("a", 100, 100)], [], [line], PAGE, size=12, gap=7)
    assert moved is not None
    assert not moved.overlaps(line)
    everywhere = [Box(0, y, 300, y + 2) for y in range(0, 200, 4)]
    assert place_labels([("a", 100, 100)], [], everywhere, PAGE, size=12, gap=7) == [right]


def test_text_is_cut_to_what_there_is_room_for() -> None:
    assert shortened("stock int8", 12, 200) == "stock int8"
    cut = shortened("a model with a very long name", 12, 80)
    assert cut.endswith("\u2026")
    assert 60 < text_width(cut, 12) <= 80
    assert len(shortened("a" * 5_000_000, 12, 80)) < 12  # at once
    assert text_width("\u4e2d\u6587", 10) > text_width("ab", 10)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=10))
def test_places_are_moved_apart_in_their_order(places: list[float]) -> None:
    found = spread(places, 10, 0, 100)
    ordered = [found[i] for i in sorted(range(len(places)), key=lambda i: places[i])]
    assert all(b - a >= 10 - 1e-6 for a, b in pairwise(ordered))
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in found)
    if all(b - a >= 10 for a, b in pairwise(sorted(places))):
        assert found == pytest.approx(places)


@given(
    st.floats(0.01, 1e4),
    st.floats(1.001, 1e3),
    st.booleans(),
    st.sampled_from([100.0, 300.0, 600.0]),
)
def test_ticks_are_round_within_the_axis_and_apart(
    low: float, factor: float, log: bool, length: float
) -> None:
    scale = Scale.around([low, low * factor], 0, length, log=log)
    ticks = scale.ticks(40)
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    places = [scale(tick) for tick in ticks]
    assert all(b - a >= 40 for a, b in pairwise(places))
    assert len(ticks) >= (2 if length > 200 else 1)
    assert all(len(f"{tick:g}") <= 8 for tick in ticks)


def test_a_scale_ends_where_it_says() -> None:
    up = Scale(1, 100, 200, 0, log=True)
    assert [up(value) for value in (1, 10, 100)] == pytest.approx([200, 100, 0])
    assert up(1000) == 0  # beyond the end
    same = Scale.around([5, 5], 0, 100)
    assert same(5) == pytest.approx(50)
