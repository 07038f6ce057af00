"""Names of a package that are loaded when they are first used: importing it stays light."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy"]


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: Its name.
        homes: By public name, the module that defines it.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # Not by importlib: the statement `import` knows what `edgepress` calls our packages.
        return getattr(__import__(homes[name], fromlist=[name]), name)

    return load
