"""Starts processes of this project from another one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["inherited_environment", "module_command", "set_for_this_process", "start_module"]

_own: set[str] = set()  # environment variables that processes started from here do without


def set_for_this_process(name: str, value: str) -> None:
    """Set an environment variable for libraries of this process, and not for those it starts."""
    os.environ[name] = value
    _own.add(name)


def inherited_environment() -> dict[str, str]:
    """Return the environment of processes that are started from here."""
    return {name: value for name, value in os.environ.items() if name not in _own}


def module_command(module: str) -> list[str]:
    """Return the command that runs `main` of `module` in a new Python process.

    It looks for modules where this process does. `python -m` would look in the working directory
    first, and take a user's own folder `benchmarks` there for this package.
    """
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    full = __name__.removesuffix("benchmarks.child") + module  # under `edgepress`, if this is
    code = f"import sys; sys.path[:] = {paths!r}; from {full} import main; main()"
    return [sys.executable, "-c", code]


def start_module(
    module: str, stderr: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Run `main` of `module` in a new process, to which lines are written and read from.

    Args:
        module: Its full name.
        stderr: File for what the process says beside them.
        environment: Its environment; None is `inherited_environment()`.
    """
    with stderr.open("wb") as errors:
        return subprocess.Popen(
            module_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=inherited_environment() if environment is None else environment,
        )
