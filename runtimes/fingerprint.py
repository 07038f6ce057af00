"""What device this is, as far as it decides which settings are fastest."""

import hashlib
import importlib.metadata
import math
import os
import platform
from functools import cache
from pathlib import Path

from runtimes.processor import processor_info

__all__ = ["describe_device", "device_key", "usable_cores"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tokenizers")


def device_key() -> str:
    """Short digest of all that decides what is fastest here."""
    return hashlib.sha256(describe_device().encode()).hexdigest()[:16]


@cache
def describe_device() -> str:
    """Processor, usable cores, and versions of the libraries that run models, in a line."""
    versions = [f"{name} {found}" for name in _LIBRARIES if (found := _version(name)) is not None]
    return ", ".join([f"{_processor()}, {usable_cores()} cores", *versions])


def usable_cores() -> int:
    """Cores that this process may use: taskset and containers give fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return min(count, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return count


def _processor() -> str:
    info = processor_info()
    # ARM boards name no model here, but state part numbers
    for key in ("model name", "Model", "CPU part"):
        if key in info:
            return f"{platform.machine()} {info[key]}"
    return f"{platform.machine()} {platform.processor()}".strip()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
