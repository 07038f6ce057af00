"""Which version of the tool this is."""

import importlib.metadata

__all__ = ["tool_version"]


def tool_version() -> str:
    """The installed version, or `"unknown"` in a source tree that is not installed."""
    try:
        return importlib.metadata.version("edgepress")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
