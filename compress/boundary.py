"""Closes in on the budget: more members between the fastest inside it and the next one outside.

What the recipe's speed-ups leave open is where between two of them the budget ends. While there is
time, one more member is made half way (of the ratio), from the fastest that is inside.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Candidate", "close_in"]

_log = logging.getLogger("edgepress")

M = TypeVar("M")

# Members nearer than this to each other would not be told apart by a benchmark.
_SMALLEST_STEP = 1.06
# Where even the fastest member is inside.
_BEYOND = 1.25
# A member may take this much longer than the longest one so far.
_MARGIN = 1.2


@dataclass(frozen=True)
class Candidate(Generic[M]):
    """A member and what is known of it.

    Attributes:
        speedup: Against the unpruned model, by the latency table.
        member: The member itself.
        bound: Points that its drop probably stays below.
    """

    speedup: float
    member: M
    bound: float


def close_in(
    candidates: list[Candidate[M]],
    make: Callable[[Candidate[M], float], Candidate[M] | None],
    *,
    max_drop: float,
    deadline: float,
    longest_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Candidate[M]]:
    """The candidates and those made until the budget's edge is found or time is up.

    Args:
        candidates: By speed-up, ascending; the first one, which is unpruned, counts as inside.
        make: A candidate of a speed-up, made from a slower one; None: out of reach.
        max_drop: Budget in points.
        deadline: What is to be finished before this moment of `clock`.
        longest_s: Seconds that the longest of the candidates took.
        clock: In seconds.

    Returns:
        All of them, by speed-up, ascending.
    """
    found = list(candidates)
    while clock() + _MARGIN * longest_s <= deadline:
        place = max(i for i, c in enumerate(found) if i == 0 or c.bound <= max_drop)
        inside = found[place]
        if place + 1 == len(found):
            speedup = inside.speedup * _BEYOND
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
        found.insert(place + 1, made)
    return found
