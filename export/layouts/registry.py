"""Finds layouts by their file names."""

import importlib
import pkgutil
from functools import cache
from typing import cast

import export.layouts
from export.layouts.base import Layout
from runtimes.errors import UsageError, did_you_mean

__all__ = ["get_layout", "layout_names"]

_OTHERS = ("base", "registry")


@cache
def _layouts() -> dict[str, Layout]:
    names = sorted(module.name for module in pkgutil.iter_modules(export.layouts.__path__))
    modules = [
        cast(Layout, importlib.import_module(f"{export.layouts.__name__}.{name}"))
        for name in names
        if name not in _OTHERS
    ]
    return {module.NAME: module for module in modules}


def layout_names() -> tuple[str, ...]:
    """Return what may follow `--as`."""
    return tuple(_layouts())


def get_layout(name: str) -> Layout:
    """Return the layout called `name`.

    Raises:
        UsageError: There is none.
    """
    if name not in _layouts():
        raise UsageError(
            f"--as {name}: there are {', '.join(layout_names())}",
            hint=did_you_mean(name, layout_names()),
        )
    return _layouts()[name]
