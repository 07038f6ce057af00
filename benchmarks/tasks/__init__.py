"""Measures how good answers are: a module for each task, found by its file (`base.py`)."""

from dataclasses import replace
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.agreement import Agreement
from benchmarks.examples import Examples
from benchmarks.tasks.base import Measure
from runtimes.registry import get_task

__all__ = ["Measure", "answered", "get_measure"]


def get_measure(examples: Examples) -> Measure:
    """Return the measure for what these examples are labelled for.

    Where people did not label them, it is of agreement with the original model.
    """
    name = get_task(examples.task).SPEC.module_for(examples.problem_type)
    measure = cast(Measure, import_module(f"{__name__}.{name}"))
    return measure if examples.labelled else Agreement(measure)


def answered(examples: Examples, logits: NDArray[np.float32]) -> Examples:
    """Return examples that nobody labelled with the answers of the original model as labels.

    Args:
        examples: Any; those that people labelled are returned as they are.
        logits: (M, C) the original's.
    """
    if examples.labelled:
        return examples
    return replace(examples, targets=get_measure(examples).answers(logits, examples))
