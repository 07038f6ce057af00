"""`python -m runtimes check ARTIFACT`: the self-test, where nothing but a runtime is installed."""

import argparse
import json
import signal
import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    from runtimes.checks import check_artifact, render
    from runtimes.errors import EdgepressError

    parser = argparse.ArgumentParser(prog="python -m runtimes")
    commands = parser.add_subparsers(required=True, metavar="check")
    check = commands.add_parser("check", help="run an artifact's self-test on this machine")
    check.add_argument("artifact", help="its folder")
    check.add_argument("--device", default="cpu", help="cpu (default), cuda, gpu, npu ...")
    check.add_argument("--json", action="store_true", help="print what was found as JSON")
    given = parser.parse_args(arguments)
    try:
        found = check_artifact(given.artifact, device=given.device)
    except EdgepressError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    if given.json:
        sys.stdout.write(json.dumps([one.to_json() for one in found], indent=2) + "\n")
    else:
        sys.stdout.write(render(found))
    return 0 if any(one.right for one in found) and not any(one.wrong for one in found) else 1


if __name__ == "__main__":
    # Ctrl-C ends it without a word of where it was; ignored (`nohup`), it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
