"""The folder that outlives a run: the demo's teacher and the latency tables of this machine."""

import os
from pathlib import Path

__all__ = ["user_cache_dir"]


def user_cache_dir() -> Path:
    """Return this user's cache: `$EDGEPRESS_CACHE`, or what the desktop standard says."""
    own = os.environ.get("EDGEPRESS_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgepress"
