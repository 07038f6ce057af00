"""The training side of the tasks: one module a task.

Imported by `compress.training` alone. Read `base.py` first.
"""

from importlib import import_module
from typing import cast

from benchmarks.examples import Examples
from compress.errors import UsageError
from compress.training.tasks.base import TrainingTask
from runtimes.registry import get_task

__all__ = ["TrainingTask", "check_trainable", "get_training_task"]


def check_trainable(task: str) -> None:
    """Refuse a task that has no labels to be fine-tuned on here.

    Raises:
        UsageError: It is one of these.
    """
    elsewhere = get_task(task).SPEC.trained_by
    if elsewhere is not None:
        raise UsageError(f"--task {task} is not fine-tuned by this command", hint=elsewhere)


def get_training_task(examples: Examples) -> TrainingTask:
    """Return the training side of the task that these examples are labelled for."""
    name = get_task(examples.task).SPEC.module_for(examples.problem_type)
    return cast(TrainingTask, import_module(f"{__name__}.{name}"))
