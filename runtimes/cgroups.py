"""Reads what Linux control groups let this process use: containers and services are limited so."""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_quota", "memory_limit_bytes"]

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest number of pages.
_NO_LIMIT_BYTES = 1 << 60


def cpu_quota() -> float | None:
    """Return how many cores' time this process may take, such as 0.5; None where it is unlimited.

    Of nested groups the smallest counts; version 1 and version 2 are read.
    """
    quotas = []
    for folder in _folders(""):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        quotas.append(_ratio(quota, period))
    for folder in _folders("cpu"):
        quotas.append(
            _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
        )
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit_bytes() -> int | None:
    """Return how much memory this process's groups may hold; None where that is unlimited."""
    found = [_read(folder / "memory.max") for folder in _folders("")]
    found += [_read(folder / "memory.limit_in_bytes") for folder in _folders("memory")]
    limits = [int(text) for text in found if text.isdecimal()]
    return min((limit for limit in limits if limit < _NO_LIMIT_BYTES), default=None)


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of those around it.

    Args:
        controller: Of version 1; empty for version 2, where all share one hierarchy.
    """
    for line in _read(_MEMBERSHIP).splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            top = _ROOT / controller
            place = top / path.strip("/")
            # A container may see its own group as the top: what is missing reads as no limit.
            yield from (place, *(each for each in place.parents if each.is_relative_to(top)))


def _ratio(quota: str, period: str) -> float | None:
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # no such file, or "max": no quota
        return None
    return cores if cores > 0 else None  # version 1 says -1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
