"""What training needs to know of a task: one module a task (see `compress.finetune.tasks.base`)."""

from importlib import import_module
from typing import cast

from compress.finetune.tasks.base import TrainingTask

__all__ = ["TrainingTask", "get_training_task"]


def get_training_task(task: str) -> TrainingTask:
    """The training side of a task of `runtimes.tasks`."""
    return cast(TrainingTask, import_module(f"{__name__}.{task.replace('-', '_')}"))
