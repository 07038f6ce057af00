"""Where the command begins: signals end it also while its own code is still being imported."""

import sys
from collections.abc import Callable
from functools import partial

from compress.cli.process.signals import ending_at_once

__all__ = ["main", "missing"]

_OURS = ("benchmarks", "compress", "edgepress", "export", "runtimes")
_WORDS = {"help": "--help", "version": "--version"}


def main() -> int:
    """Run the command and return the exit code."""
    try:
        with ending_at_once():
            run = _command()
        return run()
    except KeyboardInterrupt:  # between the two
        sys.stderr.write("\ninterrupted\n")
        return 130


def _command() -> Callable[[], int]:
    """Return the full command, or where its packages are absent that of a device."""
    try:
        from compress.cli.app import main as full
    except ModuleNotFoundError as error:
        if (known := missing(error)) is None:
            raise
        return partial(_on_a_device, sys.argv[1:], *known)
    return full


def missing(error: ModuleNotFoundError) -> tuple[str, str] | None:
    """Return message and hint where a package is not installed; None where a module of ours fails.

    A device has some packages only, and the command on its path all the same.
    """
    from runtimes.extras import extra_of, install_extra

    package = (error.name or "").partition(".")[0]
    if not package or package in _OURS:
        return None
    extra = extra_of(package)
    return (
        f"this needs the extra [{extra}]: {package} is not installed",
        f"install it: {install_extra(extra)}",
    )


def _on_a_device(arguments: list[str], message: str, hint: str) -> int:
    """Run what needs no more than a device has; of all else say what brings it."""
    from runtimes.commands import COMMANDS
    from runtimes.commands import main as run

    first = arguments[0] if arguments else "--help"
    if first in _WORDS:
        arguments = [_WORDS[first]]
    if not arguments or first in (*_WORDS, *_WORDS.values(), "-h", *COMMANDS):
        more = f"All other commands need the extra [compress]: {hint.partition(': ')[2]}"
        return run(arguments or ["--help"], program="edgepress", more=more)
    here = f"commands that work without it: {', '.join(COMMANDS)}"
    sys.stderr.write(f"error: {message}\n{hint}\n{here}\n")
    return 3
