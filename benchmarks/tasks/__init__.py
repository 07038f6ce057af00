"""Measures how good answers are: a module for each task, found by its file (`base.py`)."""

from importlib import import_module
from typing import cast

from benchmarks.examples import Examples
from benchmarks.tasks.base import Measure
from runtimes.registry import get_task

__all__ = ["Measure", "get_measure"]


def get_measure(examples: Examples) -> Measure:
    """Return the measure for what these examples are labelled for."""
    name = get_task(examples.task).SPEC.module_for(examples.problem_type)
    return cast(Measure, import_module(f"{__name__}.{name}"))
