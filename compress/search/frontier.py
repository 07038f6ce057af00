"""Asks for more members than the recipe's speed-ups name, where the accuracy budget ends.

Where even the fastest is inside, faster ones are made. Where the fastest inside and the next one
outside are far apart, and otherwise while there is time, one more is made half way (of the ratio)
between them.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["BEYOND", "Prospect", "close_in", "fill_gap", "fits", "go_beyond", "how_many_fit"]

_log = logging.getLogger("edgepress")

M = TypeVar("M")

# Members nearer than this to each other would not be told apart by a benchmark.
_SMALLEST_STEP = 1.06
# The next speed-up where even the fastest member is inside.
BEYOND = 1.3
# Members further apart than this leave much to be had between them.
_WIDE = 1.5
# A member may take this much longer than the longest one so far.
_MARGIN = 1.2


@dataclass(frozen=True)
class Prospect(Generic[M]):
    """A member, and what is known of its speed and drop.

    Attributes:
        speedup: Against the unpruned model, by the latency table.
        member: The member itself.
        bound: Points that its drop probably stays below.
        least: Points that its drop probably exceeds.
    """

    speedup: float
    member: M
    bound: float
    least: float = -math.inf


def fits(longest_s: float, now: float, deadline: float) -> bool:
    """Return whether one more member, begun now, will probably be finished in time.

    Args:
        longest_s: Seconds that the longest one took.
        now: Of the clock that `deadline` is a moment of.
        deadline: What is to be finished before this moment.
    """
    return how_many_fit(longest_s, now, deadline) > 0


def how_many_fit(longest_s: float, now: float, deadline: float) -> int:
    """Return how many more members, begun now, will probably be finished in time; see `fits`."""
    return max(0, math.floor((deadline - now) / (_MARGIN * max(longest_s, 1e-9))))


def go_beyond(
    candidates: list[Prospect[M]],
    make: Callable[[Prospect[M], float], Prospect[M] | None],
    *,
    max_drop: float,
) -> list[Prospect[M]]:
    """Return the candidates, and faster ones until one is outside the budget or out of reach.

    Args:
        candidates: By speed-up, ascending; the first one is the unpruned model.
        make: A candidate of at least a speed-up, made from a slower one; None: out of reach, or
            of time.
        max_drop: Budget in points.
    """
    found = list(candidates)
    while len(found) > 1 and found[-1].bound <= max_drop:
        made = make(found[-1], BEYOND * found[-1].speedup)
        if made is None:
            break
        found.append(made)
    return found


def fill_gap(
    candidates: list[Prospect[M]],
    make: Callable[[Prospect[M], float], Prospect[M] | None],
    *,
    max_drop: float,
) -> list[Prospect[M]]:
    """Return the candidates, and one more between the last inside and the next if far apart.

    Args:
        candidates: By speed-up, ascending; the first one, which is unpruned, counts as inside.
        make: A candidate of at least a speed-up, made from a slower one; None: out of reach, or
            of time.
        max_drop: Budget in points.
    """
    place = _fastest_inside(candidates, max_drop)
    if place + 1 == len(candidates):
        return candidates
    inside, outside = candidates[place : place + 2]
    if outside.speedup < _WIDE * inside.speedup:
        return candidates
    made = make(inside, math.sqrt(inside.speedup * outside.speedup))
    return candidates if made is None else _with(candidates, made)


def close_in(
    candidates: list[Prospect[M]],
    make: Callable[[Prospect[M], float], Prospect[M] | None],
    *,
    max_drop: float,
    deadline: float,
    longest_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Prospect[M]]:
    """Return the candidates and those made until the budget's edge is found or time is up.

    Args:
        candidates: By speed-up, ascending; the first one, which is unpruned, counts as inside.
        make: A candidate of at least a speed-up, made from a slower one; None: out of reach, or
            of time.
        max_drop: Budget in points.
        deadline: What is to be finished before this moment of `clock`.
        longest_s: Seconds that the longest of the candidates took.
        clock: In seconds.

    Returns:
        All of them, by speed-up, ascending.
    """
    found = list(candidates)
    while fits(longest_s, clock(), deadline):
        place = _fastest_inside(found, max_drop)
        inside = found[place]
        if place + 1 == len(found):
            speedup = inside.speedup * BEYOND
        else:
            speedup = math.sqrt(inside.speedup * found[place + 1].speedup)
        if speedup / inside.speedup < _SMALLEST_STEP:
            break
        start = clock()
        made = make(inside, speedup)
        longest_s = max(longest_s, clock() - start)
        if made is None:
            break
        _log.info(
            "closing in: x%.3g, drop below %.2f points, %s",
            speedup,
            made.bound,
            "inside" if made.bound <= max_drop else "outside",
        )
        known = len(found) > place + 1 and made.speedup >= found[place + 1].speedup
        found = _with(found, made)
        if known and made.bound > max_drop:
            break  # no sizes lie between the two: the same would be made again
    return found


def _fastest_inside(candidates: list[Prospect[M]], max_drop: float) -> int:
    """Return the index of the fastest candidate within the budget."""
    return max(i for i, c in enumerate(candidates) if i == 0 or c.bound <= max_drop)


def _with(candidates: list[Prospect[M]], one: Prospect[M]) -> list[Prospect[M]]:
    """Insert a candidate, sorted by speed-up."""
    return sorted([*candidates, one], key=lambda candidate: candidate.speedup)
