"""Describes the machine that is measured on: processor, memory, versions."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.memory import total_memory_bytes
from runtimes.cores import usable_cores
from runtimes.processor import processor_flags, processor_info
from runtimes.registry import get_runtime, runtime_names
from runtimes.versions import installed_versions

__all__ = ["CPU_FLAGS", "describe_environment", "libraries"]

CPU_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    # ARM: dot products and matrix multiplication on 8-bit integers, bfloat16, vectors
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
"""Instruction sets that decide how fast, and whether correctly, INT8 and BF16 run here."""


def libraries() -> tuple[str, ...]:
    """Return the distributions whose version changes the numbers: ours, each runtime's, and those
    that models are made with."""
    of_runtimes = [d for name in runtime_names() for d in get_runtime(name).DISTRIBUTIONS]
    return ("edgepress", *of_runtimes, "tokenizers", "onnx", "nncf", "numpy")


def describe_environment() -> dict[str, Any]:
    """Return facts about this machine as plain JSON values; None for what cannot be found out.

    No library is imported: versions come from the installed metadata.

    Returns:
        `cpu` (`model`, `architecture`, `flags` of `CPU_FLAGS`, `cores_physical`, `cores_logical`,
        `cores_usable`, `governor`, `virtual`), `memory_bytes`, `load_average` (1 minute, at the
        call), `os`, `python`, `libraries` (name to version) and `gpus` (what nvidia-smi answers).
    """
    model = processor_info().get("model name")
    if not model and platform.system() == "Darwin":
        model = " ".join(_lines(["sysctl", "-n", "machdep.cpu.brand_string"]))
    model = model or platform.processor()
    flags = processor_flags()
    return {
        "cpu": {
            "model": model or None,
            "architecture": platform.machine(),
            "flags": [flag for flag in CPU_FLAGS if flag in flags],
            "cores_physical": _physical_cores(),
            "cores_logical": os.cpu_count(),
            "cores_usable": usable_cores(),
            "governor": _governor(),
            "virtual": "hypervisor" in flags,
        },
        "memory_bytes": total_memory_bytes(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "os": _operating_system(),
        "python": platform.python_version(),
        "libraries": installed_versions(*libraries()),
        "gpus": _lines(
            ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        ),
    }


def _physical_cores() -> int | None:
    try:
        import psutil
    except ImportError:  # a device has numpy, tokenizers and a runtime
        return None
    count: int | None = psutil.cpu_count(logical=False)
    return count


def _governor() -> str | None:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None  # virtual machines rarely show it


def _operating_system() -> str:
    name = ""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        if platform.system() == "Darwin":
            name = f"macOS {platform.mac_ver()[0]}"
    kernel = f"{platform.system()} {platform.release()}"
    return f"{name} ({kernel})" if name else kernel


def _lines(command: list[str]) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []  # not installed, no driver, or no answer: nothing to report
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
