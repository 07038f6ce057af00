"""How good answers are: one module a task, found by its file (see `benchmarks.tasks.base`)."""

from importlib import import_module
from typing import cast

from benchmarks.tasks.base import Measure

__all__ = ["Measure", "get_measure"]


def get_measure(task: str) -> Measure:
    """The measure of a task of `runtimes.tasks`."""
    return cast(Measure, import_module(f"{__name__}.{task.replace('-', '_')}"))
