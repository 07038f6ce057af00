"""`python -m runtimes check`, `tune` and `serve`, where nothing but a runtime is installed.

`serve` needs Starlette and uvicorn, too.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    from runtimes.errors import EdgepressError
    from runtimes.serving.command import add_arguments, run_command

    parser = argparse.ArgumentParser(prog="python -m runtimes")
    commands = parser.add_subparsers(required=True, metavar="check|tune|serve")
    check = commands.add_parser("check", help="run an artifact's self-test on this machine")
    check.add_argument("artifact", help="its folder")
    check.add_argument("--device", default="cpu", help="cpu (default), cuda, gpu, npu ...")
    check.set_defaults(run=_check)
    tune = commands.add_parser("tune", help="find the fastest settings here, and keep them in it")
    tune.add_argument("artifact", help="its folder")
    tune.add_argument("texts", type=Path, help="file with a text a line, such as it will be asked")
    tune.set_defaults(run=_tune)
    for command in (check, tune):
        command.add_argument("--json", action="store_true", help="print what was found as JSON")
    serve = commands.add_parser("serve", help="answer over HTTP")
    add_arguments(serve)
    serve.set_defaults(run=run_command)
    given = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        return run(given)
    except EdgepressError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _check(given: argparse.Namespace) -> int:
    from runtimes.checks import check_artifact, render

    found = check_artifact(given.artifact, device=given.device)
    if given.json:
        sys.stdout.write(json.dumps([one.to_json() for one in found], indent=2) + "\n")
    else:
        sys.stdout.write(render(found))
    return 0 if any(one.right for one in found) and not any(one.wrong for one in found) else 1


def _tune(given: argparse.Namespace) -> int:
    from runtimes.artifact import read_manifest
    from runtimes.errors import DataError
    from runtimes.escaping import escape_line
    from runtimes.loading import load
    from runtimes.registry import get_task, runtime_title
    from runtimes.tuning import tune

    task = get_task(read_manifest(given.artifact).task)
    try:
        lines = given.texts.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{given.texts} cannot be read: {error}") from error
    texts = [task.from_line(line) for line in lines if line.strip()]
    found = tune(given.artifact, texts, open_with=load)
    if given.json:
        sys.stdout.write(json.dumps(found.to_json(), indent=2) + "\n")
        return 0
    for one in found.tried:
        setting = one.setting
        words = [
            "failed" if one.p50_ms is None else f"{one.p50_ms:.3f} ms",
            f"{runtime_title(setting.runtime)} {setting.precision}, threads {setting.threads}",
            *(f"{name} {value}" for name, value in setting.options.items()),
        ]
        sys.stdout.write(f"{words[0]:>10}  {escape_line(', '.join(words[1:]))}\n")
    sys.stdout.write("the first is kept in tuning.json: load goes by it here\n")
    return 0


if __name__ == "__main__":
    # Ctrl-C ends it without a word of where it was; ignored (`nohup`), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
