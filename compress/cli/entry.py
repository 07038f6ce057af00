"""Where the command begins: signals end it also while its own code is still being imported."""

import sys

from compress.cli.signals import ending_at_once

__all__ = ["main"]


def main() -> int:
    """Run the command and return the exit code."""
    try:
        with ending_at_once():
            from compress.cli.app import main as run

        return run()
    except KeyboardInterrupt:  # between the two
        sys.stderr.write("\ninterrupted\n")
        return 130
