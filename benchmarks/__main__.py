"""`python -m benchmarks profile` and `run`, where nothing but a device's packages is installed."""

import argparse
import signal
import sys
from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    from runtimes.commands import run_parsed

    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(required=True, metavar="profile|run")
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
    measure = commands.add_parser("run", help="measure artifacts on this device")
    measure.add_argument(
        "artifacts", type=Path, nargs="+", help="folders; the first is compared to"
    )
    measure.add_argument("--data", type=Path, required=True, help="labelled texts: csv, tsv, jsonl")
    measure.add_argument("--out", type=Path, required=True, help="JSON file to write")
    measure.add_argument("--rounds", type=int, default=12, help="interleaved rounds (default 12)")
    measure.add_argument("--runtime", help="whose files to measure (default: as they open here)")
    measure.add_argument("--threads", type=int, help="CPU threads (default: as they open here)")
    for part in ("text", "pair", "label"):
        measure.add_argument(f"--{part}-column", help=f"of the {part}, if not found by name")
    measure.set_defaults(run=_run)
    given = parser.parse_args(arguments)
    return run_parsed(given)


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


def _run(given: argparse.Namespace) -> int:
    from benchmarks.profiling.deployed import measure_deployed
    from benchmarks.render.figures import accuracy_points, median
    from benchmarks.report import save_report
    from runtimes.escaping import escape_line

    parts: list[str] = []

    def progress(what: str, done: int, total: int) -> None:  # noqa: ARG001 - a line a part
        part = what.partition(":")[0]
        if part not in parts:
            parts.append(part)
            _say(part)

    report = measure_deployed(
        given.artifacts,
        given.data,
        columns={part: getattr(given, f"{part}_column") for part in ("text", "pair", "label")},
        rounds=max(2, given.rounds),
        runtime=given.runtime,
        threads=given.threads,
        progress=progress,
    )
    save_report(report, given.out)
    for row in report.rows:
        words = [f"{median(row.end_to_end_ms):>8} ms", f"{accuracy_points(row):>6}", row.model]
        if row.sure_speedup is not None and row.id != report.reference:
            words.append(f"{row.sure_speedup.value:.2f} times as fast as {report.reference}")
        words += [each for each in (row.doubt, row.note, row.error) if each]
        sys.stdout.write(f"{escape_line('  '.join(words))}\n")
    _say(f"report   {given.out}")
    return 1 if all(row.error is not None for row in report.rows) else 0


def _say(text: str) -> None:
    from runtimes.escaping import escape_line

    sys.stderr.write(f"{escape_line(text)}\n")


if __name__ == "__main__":
    # Ctrl-C ends it without a word of where it was; ignored (`nohup`), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
