"""Reads the resident memory of processes, and what is free."""

import os
import sys
from pathlib import Path

__all__ = [
    "available_memory_bytes",
    "current_rss_bytes",
    "peak_rss_bytes",
    "total_memory_bytes",
]


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
    try:
        import psutil
    except ImportError:
        try:
            pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def available_memory_bytes() -> int:
    """Return the memory that can be taken without swapping.

    Where nothing tells, it is taken for 1 GiB.
    """
    try:
        import psutil
    except ImportError:
        return _of_meminfo("MemAvailable") or 1 << 30
    return int(psutil.virtual_memory().available)


def total_memory_bytes() -> int | None:
    """Return the machine's memory; None where nothing tells."""
    try:
        import psutil
    except ImportError:
        return _of_meminfo("MemTotal")
    return int(psutil.virtual_memory().total)


def _of_meminfo(name: str) -> int | None:
    """Return an entry of /proc/meminfo in bytes: a device has no psutil."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
