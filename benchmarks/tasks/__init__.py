"""How good answers are: one module a task, found by its file (see `benchmarks.tasks.base`)."""

from importlib import import_module
from typing import cast

from benchmarks.examples import Examples
from benchmarks.tasks.base import Measure

__all__ = ["Measure", "get_measure"]

_OF_PROBLEM = {"multi_label_classification": "multi_label", "regression": "regression"}


def get_measure(examples: Examples) -> Measure:
    """The measure for what these examples are labelled for."""
    name = examples.task.replace("-", "_")
    if examples.task == "text-classification":
        name = _OF_PROBLEM.get(examples.problem_type, name)
    return cast(Measure, import_module(f"{__name__}.{name}"))
