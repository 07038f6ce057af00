"""Where the command begins: signals end it also while its own code is still being imported."""

import sys

from compress.cli.process.signals import ending_at_once

__all__ = ["main", "missing"]

_OURS = ("benchmarks", "compress", "edgepress", "export", "runtimes")


def main() -> int:
    """Run the command and return the exit code."""
    try:
        with ending_at_once():
            from compress.cli.app import main as run

        return run()
    except KeyboardInterrupt:  # between the two
        sys.stderr.write("\ninterrupted\n")
        return 130
    except ModuleNotFoundError as error:
        if (known := missing(error)) is None:
            raise
        sys.stderr.write(f"error: {known[0]}\n{known[1]}\n")
        return 3


def missing(error: ModuleNotFoundError) -> tuple[str, str] | None:
    """Return message and hint where a package is not installed; None where a module of ours fails.

    A device has some packages only, and the command on its path all the same.
    """
    package = (error.name or "").partition(".")[0]
    if not package or package in _OURS:
        return None
    return (
        f"the command needs {package}, which the full install brings",
        "install it: pip install edgepress-*.whl, or `pip install .` in a clone; on a device "
        "without it: python -m runtimes check ARTIFACT, or tune ARTIFACT TEXTS.txt",
    )
