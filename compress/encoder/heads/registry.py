"""Finds a task's model by the file of its head, and makes or reads one."""

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import compress.encoder.heads
from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.task import pooling_of
from runtimes.hf_config import task_of
from runtimes.registry import task_of_head

__all__ = ["build", "model_of_head", "model_of_original", "model_of_task", "read", "tasks"]


@cache
def tasks() -> tuple[str, ...]:
    """Return the names of all tasks that have a head here, sorted."""
    modules = pkgutil.iter_modules(compress.encoder.heads.__path__)
    return tuple(sorted(m.name.replace("_", "-") for m in modules if m.name != "registry"))


def model_of_task(task: str) -> type[LeanEncoderWithHead]:
    """Return the class of a task's models."""
    package = compress.encoder.heads.__name__
    model: type[LeanEncoderWithHead] = import_module(f"{package}.{task.replace('-', '_')}").MODEL
    return model


def model_of_head(head: str) -> type[LeanEncoderWithHead]:
    """Return the class of models with the head that a config names.

    Raises:
        ModelError: No task has such a head.
    """
    return model_of_task(task_of_head(head).SPEC.name)


def model_of_original(original: Any) -> type[LeanEncoderWithHead]:
    """Return the class that a model of Transformers is imported as."""
    return model_of_task(task_of([type(original).__name__], pooling_of(original.config)))


def build(config: LeanEncoderConfig) -> LeanEncoderWithHead:
    """Make a model with the head that the config names, with fresh weights."""
    return model_of_head(config.head)(config)


def read(folder: Path) -> LeanEncoderWithHead:
    """Read the model that `save_pretrained` wrote, in evaluation mode."""
    config = LeanEncoderConfig.from_pretrained(folder, trust_remote_code=False)
    kind = model_of_head(config.head)
    model: LeanEncoderWithHead = kind.from_pretrained(folder, trust_remote_code=False)
    return model.eval()
