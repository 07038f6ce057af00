"""Sets how OpenMP's threads of this process wait for each other: asleep, not at full speed."""

import os
import sys

from benchmarks.child import set_for_this_process

__all__ = ["wait_passively"]

# The standard's variable, which GNU's and LLVM's libraries read, and those that either reads first.
_POLICY, _FINER = "OMP_WAIT_POLICY", ("GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_passively() -> None:
    """Let PyTorch's threads sleep while they wait for each other, once it is loaded.

    By default they wait at full speed, on cores that the thread they wait for may need.
    Results are the same to the last bit.

    The library reads this when it is loaded, so nothing happens where PyTorch is already there, nor
    where the environment says how to wait. Processes that models are timed in do not inherit it.
    """
    if "torch" in sys.modules or any(name in os.environ for name in (_POLICY, *_FINER)):
        return
    set_for_this_process(_POLICY, "PASSIVE")
