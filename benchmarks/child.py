"""Starts processes of this project from another one."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["module_command", "start_module"]


def module_command(module: str) -> list[str]:
    """Return the command that runs `main` of `module` in a new Python process.

    It looks for modules where this process does. `python -m` would look in the working directory
    first, and take a user's own folder `benchmarks` there for this package.
    """
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    code = f"import sys; sys.path[:] = {paths!r}; from {module} import main; main()"
    return [sys.executable, "-c", code]


def start_module(
    module: str, stderr: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Run `main` of `module` in a new process, to which lines are written and read from.

    Args:
        module: Its full name.
        stderr: File for what the process says beside them.
        environment: Its environment; None is this process's.
    """
    with stderr.open("wb") as errors:
        return subprocess.Popen(
            module_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=environment,
        )
