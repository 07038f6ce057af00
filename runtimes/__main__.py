"""`python -m runtimes`: see `runtimes.commands`."""

import signal
import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command of a device; returns its exit code."""
    from runtimes.commands import main as run

    return run(arguments)


if __name__ == "__main__":
    # Ctrl-C ends it without a word of where it was; ignored (`nohup`), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
