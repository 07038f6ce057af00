"""`python -m benchmarks profile`, where nothing but a device's packages is installed."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    from runtimes.errors import EdgepressError

    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(required=True, metavar="profile")
    profile = commands.add_parser("profile", help="measure this device with a kit of probes")
    profile.add_argument("kit", type=Path, help="folder that `edgepress profile kit` wrote")
    profile.add_argument("--out", type=Path, required=True, help="JSON file to write")
    profile.add_argument(
        "--seconds", type=float, default=75.0, help="for each runtime's table (default 75)"
    )
    profile.add_argument("--threads", type=int, help="the only count to try (default: several)")
    profile.add_argument(
        "--runtime", action="append", help="to measure; may be given again (default: all)"
    )
    profile.add_argument("--scratch", type=Path, help="folder for what is unpacked")
    profile.set_defaults(run=_profile)
    given = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        return run(given)
    except EdgepressError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _profile(given: argparse.Namespace) -> int:
    from benchmarks.profiling.kit import Kit
    from benchmarks.profiling.measure import measure_profile
    from runtimes.escaping import escape_line
    from runtimes.registry import runtime_title

    found = measure_profile(
        Kit.read(given.kit),
        seconds=given.seconds,
        threads=given.threads,
        runtimes=given.runtime,
        scratch=given.scratch,
        say=_say,
    )
    found.save(given.out)
    for one in found.race:
        time = "failed" if one.error else f"{one.pace:.3f} ms"
        threads = f"{one.threads} thread{'s' if one.threads > 1 else ''}"
        words = f"{runtime_title(one.runtime)} {one.scheme}, {threads} {one.error}"
        sys.stdout.write(f"{time:>10}  {escape_line(words.strip())}\n")
    for name, exact in found.exact.items():
        if exact is False:
            sys.stdout.write(f"sums of 8-bit products saturate in {runtime_title(name)} here\n")
    if found.doubt:
        _say(f"not to be relied on: {found.doubt}; measure again when the device is quiet")
    _say(f"profile  {given.out}")
    return 0


def _say(text: str) -> None:
    from runtimes.escaping import escape_line

    sys.stderr.write(f"{escape_line(text)}\n")


if __name__ == "__main__":
    # Ctrl-C ends it without a word of where it was; ignored (`nohup`), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
