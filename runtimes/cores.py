"""How many cores this process may use: taskset and containers give fewer than there are."""

import math
import os
from pathlib import Path

from runtimes.cgroups import cpu_quota

__all__ = ["limited_cores", "usable_cores"]

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def usable_cores() -> int:
    """Return how many cores this process may use, a part of one counted whole."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cpu_quota()
    return count if quota is None else min(count, max(1, math.ceil(quota)))


def limited_cores() -> int | None:
    """Threads to open a model with where this process may use a part of the machine; else None.

    That is a thread a physical core, and no more than a quota can run at once. Libraries count the
    machine's cores by themselves: in a container with half a core their threads wait for one
    another's turn, which made the slowest of a hundred answers take 50 ms instead of 1.
    """
    quota = cpu_quota()
    given = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    count = os.cpu_count() or 1
    if given and len(given) < count:
        count = len({_siblings(core) for core in given})
    elif quota is None or quota >= count:
        return None
    return count if quota is None else min(count, max(1, int(quota)))


def _siblings(core: int) -> str:
    """Return the logical cores that share a physical one."""
    try:
        return Path(_SIBLINGS.format(core)).read_text(encoding="ascii").strip()
    except OSError:  # not Linux, or hidden: each counts
        return str(core)
