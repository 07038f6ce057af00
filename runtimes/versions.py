"""Versions of installed packages, read from their metadata: nothing is imported."""

import re
from importlib import metadata

__all__ = ["at_least", "installed_version", "installed_versions", "tool_version"]


def installed_version(distribution: str) -> str | None:
    """Return the version of a package on PyPI that is installed, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def installed_versions(*distributions: str) -> dict[str, str]:
    """Return the versions of those packages that are installed, by name, in the given order."""
    found = {name: installed_version(name) for name in distributions}
    return {name: version for name, version in found.items() if version is not None}


def at_least(version: str, least: str) -> bool:
    """Return whether a version such as `"1.24.3"` is no earlier than `"1.25"`; so is one that
    cannot be read.
    """
    numbers = [
        [int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]]
        for text in (version, least)
    ]
    return not numbers[0] or numbers[0] >= numbers[1]


def tool_version() -> str:
    """Return this tool's version; `"unknown"` in a source tree that is not installed."""
    return installed_version("edgepress") or "unknown"
