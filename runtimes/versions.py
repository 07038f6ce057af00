"""Versions of installed packages, read from their metadata: nothing is imported."""

from importlib import metadata

__all__ = ["installed_version", "installed_versions", "tool_version"]


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


def tool_version() -> str:
    """Return this tool's version; `"unknown"` in a source tree that is not installed."""
    return installed_version("edgepress") or "unknown"
