"""The processor, as the operating system tells of it."""

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

__all__ = ["processor_flags", "processor_info", "saturates"]

_INFO = Path("/proc/cpuinfo")

_ARM = "asimd"  # every 64-bit one has it


@cache
def processor_info() -> Mapping[str, str]:
    """Keys and first values of /proc/cpuinfo; empty where there is none."""
    try:
        lines = _INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found


def processor_flags() -> frozenset[str]:
    """Return its instruction sets, by Linux's names; empty where the system does not tell."""
    info = processor_info()
    return frozenset((info.get("flags") or info.get("Features") or "").split())


def saturates(instruction_sets: Collection[str], flags: Collection[str]) -> bool:
    """Return whether INT8 sums that are exact on `instruction_sets` may saturate on a processor.

    Without instructions that add products of bytes in 32 bits, x86 adds pairs of them in 16, where
    they do not fit. ARM, without them, has 16 bits for each product.

    Args:
        instruction_sets: Of which one is needed, by the names of manifests; empty: not known.
        flags: The processor's, as `processor_flags` gives them; empty: not known, so False.
    """
    if not flags or not instruction_sets or "any" in instruction_sets or _ARM in flags:
        return False
    return not set(instruction_sets) & set(flags)
