"""Reads the resident memory of processes, and what is free."""

import sys
from pathlib import Path

__all__ = ["available_memory_bytes", "current_rss_bytes", "peak_rss_bytes"]


def peak_rss_bytes() -> int:
    """Return the most physical memory that this process ever held, shared libraries included.

    On Linux it is VmHWM: `getrusage` there starts at what the *parent* held when it started this
    process, which would give every row the memory of the program that runs the benchmark.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def current_rss_bytes(pid: int) -> int:
    """Return the physical memory that the process holds now; 0 where it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def available_memory_bytes() -> int:
    """Return the memory that can be taken without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)
