"""Where the command begins: Ctrl-C ends it also while its own code is still being imported."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command and return the exit code."""
    try:
        from compress.cli.app import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
