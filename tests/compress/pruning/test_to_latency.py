"""The search for a depth, and pruning with less text where time is short."""

import math

import pytest

from compress.pruning.to_latency import LEAST_SHARE, lowest, share_of


@pytest.mark.parametrize("count", range(1, 13))
def test_the_lowest_of_what_falls_and_rises_is_found(count: int) -> None:
    for best in range(count):
        asked: list[int] = []

        def value(place: int, best: int = best, asked: list[int] = asked) -> float:
            asked.append(place)
            return abs(place - best) + 0.1 * (place > best)

        assert lowest(value, count) == best
        assert len(asked) == len(set(asked)) <= 2 + 2 * math.ceil(math.log2(count))


def test_what_is_out_of_reach_is_never_the_lowest() -> None:
    values = [math.inf, math.inf, 0.3, 0.2, 0.4, 0.9]
    assert lowest(lambda place: values[place], len(values)) == 3


def test_a_share_of_the_texts_still_says_something() -> None:
    assert share_of(1024, 1.0) == 1024
    assert share_of(1024, LEAST_SHARE) == 256
    assert share_of(128, LEAST_SHARE) == 96
    assert share_of(40, LEAST_SHARE) == 40
