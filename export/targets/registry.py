"""Finds export targets by their file names."""

import importlib
import pkgutil
from functools import cache
from typing import cast

import export.targets
from export.targets.base import Target
from runtimes.registry import artifact_runtimes

__all__ = ["alternative_schemes", "default_schemes", "get_target", "target_names"]


@cache
def target_names() -> tuple[str, ...]:
    """Return the names of all targets, which are those of their runtimes, the preferred first."""
    modules = {module.name for module in pkgutil.iter_modules(export.targets.__path__)}
    return tuple(name for name in artifact_runtimes() if name in modules)


def get_target(runtime: str) -> Target:
    """Return the target that writes files for a runtime.

    Raises:
        ValueError: There is none.
    """
    if runtime not in target_names():
        raise ValueError(
            f"nothing is exported for the runtime {runtime!r}; there are: "
            f"{', '.join(target_names())}"
        )
    return cast(Target, importlib.import_module(f"{export.targets.__name__}.{runtime}"))


def default_schemes() -> dict[str, str]:
    """Return each target's default scheme, by runtime."""
    return {name: next(iter(get_target(name).SCHEMES)) for name in target_names()}


def alternative_schemes() -> list[dict[str, str]]:
    """Return the sets of schemes besides the defaults, by runtime.

    An artifact holds a file for each runtime, so each target's second scheme shares a set, and so
    do its third ones; a target that has no more of them stays at its last.
    """
    schemes = {name: list(get_target(name).SCHEMES) for name in target_names()}
    most = max(map(len, schemes.values()))
    return [
        {name: known[min(place, len(known) - 1)] for name, known in schemes.items()}
        for place in range(1, most)
    ]
