"""Finding runtimes and tasks by their file names: a new one is one new file and nothing else."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import cast

import runtimes.adapters
import runtimes.tasks
from runtimes.base import DeviceInfo, Runtime
from runtimes.errors import ModelError, UsageError, did_you_mean
from runtimes.tasks.base import Task, TaskSpec

__all__ = [
    "artifact_runtimes",
    "devices",
    "get_runtime",
    "get_task",
    "runtime_names",
    "runtime_title",
    "spec_of_head",
    "task_names",
    "task_of_head",
]


@cache
def runtime_names() -> tuple[str, ...]:
    """Return the names of all runtimes, installed or not, the preferred ones first."""
    names = sorted(module.name for module in pkgutil.iter_modules(runtimes.adapters.__path__))
    return tuple(sorted(names, key=lambda name: (_adapter(name).PREFERENCE, name)))


@cache
def artifact_runtimes() -> tuple[str, ...]:
    """Return the names of the runtimes that open model files, the preferred ones first."""
    return tuple(name for name in runtime_names() if get_runtime(name).MODEL_FILES)


def runtime_title(name: str) -> str:
    """Return a runtime's name for tables: `ONNX Runtime` of `onnxruntime`.

    An unknown name is returned as it is: reports of other versions are rendered too.
    """
    return get_runtime(name).TITLE if name in runtime_names() else name


def get_runtime(name: str) -> Runtime:
    """Return the runtime called `name`; its library is not imported before it is used.

    Raises:
        UsageError: There is no such runtime; the message lists those there are.
    """
    return cast(Runtime, _find("runtime", runtimes.adapters, name, runtime_names()))


@cache
def task_names() -> tuple[str, ...]:
    """Return the names of all tasks (`"text-classification"`)."""
    modules = pkgutil.iter_modules(runtimes.tasks.__path__)
    return tuple(sorted(m.name.replace("_", "-") for m in modules if m.name != "base"))


def get_task(name: str) -> Task:
    """Return the task called `name`.

    Raises:
        UsageError: There is no such task; the message lists those there are.
    """
    return cast(Task, _find("task", runtimes.tasks, name, task_names()))


@cache
def task_of_head(head: str) -> Task:
    """Return the task that a head of the lean encoder answers.

    Raises:
        ModelError: No task has such a head.
    """
    spec = spec_of_head(head)
    if spec is None:
        raise ModelError(f"no task of this version has the head {head!r}")
    return get_task(spec.name)


def spec_of_head(head: object) -> TaskSpec | None:
    """Return the spec of the task with this head; None where a config names no head of ours."""
    specs = (get_task(name).SPEC for name in task_names())
    return next((spec for spec in specs if spec.head == head), None)


def devices() -> list[DeviceInfo]:
    """Return every device of every runtime, absent ones with the reason."""
    return [device for name in runtime_names() for device in get_runtime(name).devices()]


def _adapter(name: str) -> Runtime:
    return cast(Runtime, importlib.import_module(f"{runtimes.adapters.__name__}.{name}"))


def _find(kind: str, package: ModuleType, name: str, known: tuple[str, ...]) -> ModuleType:
    if name not in known:
        raise UsageError(
            f"There is no {kind} {name!r}; there are: {', '.join(known)}.",
            hint=did_you_mean(name, known),
        )
    return importlib.import_module(f"{package.__name__}.{name.replace('-', '_')}")
