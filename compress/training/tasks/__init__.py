"""What training needs to know of a task: one module a task (see `compress.training.tasks.base`)."""

from importlib import import_module
from typing import cast

from benchmarks.examples import Examples
from compress.errors import UsageError
from compress.training.tasks.base import TrainingTask

__all__ = ["TrainingTask", "check_trainable", "get_training_task"]


_OF_PROBLEM = {"multi_label_classification": "multi_label", "regression": "regression"}


_ELSEWHERE = {
    "fill-mask": "Train it by: compress train BASE --data TEXT --objective mlm",
    "sentence-embedding": "Train it with sentence-transformers, whose folders compress takes.",
}


def check_trainable(task: str) -> None:
    """Refuse a task that has no labels to be fine-tuned on here.

    Raises:
        UsageError: It is one of these.
    """
    if task in _ELSEWHERE:
        raise UsageError(f"--task {task} is not fine-tuned by this command", hint=_ELSEWHERE[task])


def get_training_task(examples: Examples) -> TrainingTask:
    """The training side of what these examples are labelled for."""
    name = examples.task.replace("-", "_")
    if examples.task == "text-classification":
        name = _OF_PROBLEM.get(examples.problem_type, name)
    return cast(TrainingTask, import_module(f"{__name__}.{name}"))
