"""Says how this command is started from where the user stands."""

import shutil
import sys
from pathlib import Path

__all__ = ["program", "short"]


def program() -> list[str]:
    """Return the words that start this command from where the user stands.

    The name alone where the shell finds this very file by it: elsewhere the file may lie in an
    environment, or the name belong to another program (ncompress replaces files).
    """
    started = Path(sys.argv[0])
    if started.stem not in ("compress", "edgepress"):
        return [short(sys.executable), "-m", "edgepress"]
    return [short(str(started))]


def short(typed: str) -> str:
    """Return a program's name where the shell finds this very file by it; else its path."""
    found = shutil.which(Path(typed).name)
    return Path(typed).name if found and Path(found).absolute() == Path(typed).absolute() else typed
