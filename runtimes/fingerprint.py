"""What device this is, as far as it decides which settings are fastest."""

import hashlib
import platform
from functools import cache

from runtimes.cores import usable_cores
from runtimes.processor import processor_info
from runtimes.registry import artifact_runtimes, get_runtime
from runtimes.versions import installed_versions

__all__ = ["describe_device", "device_key"]


def device_key() -> str:
    """Short digest of all that decides what is fastest here."""
    return hashlib.sha256(describe_device().encode()).hexdigest()[:16]


@cache
def describe_device() -> str:
    """Processor, usable cores, and versions of the libraries that run models, in a line."""
    libraries = [d for name in artifact_runtimes() for d in get_runtime(name).DISTRIBUTIONS]
    versions = installed_versions(*libraries, "tokenizers")
    named = [f"{name} {version}" for name, version in versions.items()]
    return ", ".join([f"{_processor()}, {usable_cores()} cores", *named])


def _processor() -> str:
    info = processor_info()
    # ARM boards name no model here, but state part numbers
    for key in ("model name", "Model", "CPU part"):
        if key in info:
            return f"{platform.machine()} {info[key]}"
    return f"{platform.machine()} {platform.processor()}".strip()
