"""What training needs to know of a task: one module a task (see `compress.finetune.tasks.base`)."""

from importlib import import_module
from typing import cast

from benchmarks.examples import Examples
from compress.finetune.tasks.base import TrainingTask

__all__ = ["TrainingTask", "get_training_task"]


_OF_PROBLEM = {"multi_label_classification": "multi_label", "regression": "regression"}


def get_training_task(examples: Examples) -> TrainingTask:
    """The training side of what these examples are labelled for."""
    name = examples.task.replace("-", "_")
    if examples.task == "text-classification":
        name = _OF_PROBLEM.get(examples.problem_type, name)
    return cast(TrainingTask, import_module(f"{__name__}.{name}"))
