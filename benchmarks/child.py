"""How a process of this project starts another one."""

import sys
from pathlib import Path

__all__ = ["module_command"]


def module_command(module: str) -> list[str]:
    """The command that runs `main` of `module` in a new Python process.

    It looks for modules where this process does. `python -m` would look in the working directory
    first, and take a user's own folder `benchmarks` there for this package.
    """
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    code = f"import sys; sys.path[:] = {paths!r}; from {module} import main; main()"
    return [sys.executable, "-c", code]
