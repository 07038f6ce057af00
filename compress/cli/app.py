"""The command `edgepress` (also `compress`, also `python -m edgepress`).

Data goes to stdout, everything else to stderr. Heavy libraries are imported inside the commands, so
that `--help`, completion and mistakes are answered at once.
"""

import errno
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from compress.cli.bench import bench
from compress.cli.deploying.command import deploy, unpack
from compress.cli.doctor import doctor
from compress.cli.entry import missing
from compress.cli.inspect import check, clean, inspect
from compress.cli.output import tell
from compress.cli.predict import predict
from compress.cli.process.signals import describe_stop, stopping_signals, unmasking_stops
from compress.cli.process.streams import open_streams
from compress.cli.profile import profile
from compress.cli.recipe import recipe
from compress.cli.report import report
from compress.cli.run import demo, run
from compress.cli.serving.command import serve
from compress.cli.signing import sign, verify
from compress.cli.train import train
from compress.errors import EdgepressError, UsageError
from compress.system.launch import missing_processes
from compress.system.program import program
from compress.system.waiting import wait_passively
from runtimes.errors import nearest

__all__ = ["app", "main"]

# Failures of the machine, not of the program: worth a sentence, not a traceback.
_SYSTEM_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE}

_COMMANDS = (
    *(run, train, demo, bench, predict, serve, deploy, unpack, report, inspect),
    *(profile, check, clean, sign, verify, recipe, doctor),
)
# Two things that people do with each.
_EXAMPLES = {
    "run": (
        "edgepress my-model --data reviews.csv --max-drop 1",
        "edgepress run org/name --data folder --effort fast --out small",
    ),
    "train": (
        "edgepress train bert-mini --data reviews.csv --out teacher",
        "edgepress train bert-mini --data text.txt --objective mlm --out mine",
    ),
    "demo": ("edgepress demo", "edgepress demo --out somewhere --seed 1"),
    "bench": (
        "edgepress bench my-model out/artifact --data reviews.csv --out measured",
        "edgepress bench --compare old/report.json new/report.json",
    ),
    "predict": (
        'edgepress predict out/artifact "a gorgeous , witty film"',
        "edgepress predict out/artifact --file reviews.csv --format csv > answers.csv",
    ),
    "serve": (
        "edgepress serve out/artifact",
        "edgepress serve out --demo --original my-model --open",
    ),
    "deploy": (
        "edgepress deploy out/artifact --to mine.tar.gz --as bundle --platform linux-aarch64",
        "edgepress deploy out/artifact --to web/mine --as transformers.js",
    ),
    "unpack": (
        "edgepress unpack mine.tar.gz --to mine",
        "edgepress unpack mine.tar.gz --to /opt/mine",
    ),
    "report": (
        "edgepress report out-1 out-2 out-3 --out seeds.html",
        "edgepress report merge out/report.json device.json",
    ),
    "inspect": ("edgepress inspect out/artifact", "edgepress inspect out/report.json --json"),
    "profile": (
        "edgepress profile kit my-model --data reviews.csv --out kit",
        "edgepress profile kit my-model --runtimes onnxruntime",
    ),
    "check": ("edgepress check out/artifact", "edgepress check out/artifact --device gpu --json"),
    "clean": ("edgepress clean out", "edgepress clean out --yes"),
    "sign": (
        "edgepress sign out/artifact --key ~/.ssh/id_ed25519",
        "edgepress sign out/family/full --key release",
    ),
    "verify": (
        "edgepress verify out/artifact",
        "edgepress verify out/artifact --trusted release.pub",
    ),
    "recipe": ("edgepress recipe best > mine.yaml", "edgepress recipe fast distill.epochs=2"),
    "doctor": ("edgepress doctor", "edgepress doctor --all"),
}
_NAMES = tuple(command.__name__ for command in _COMMANDS)
_RESUMABLE = ("run", "demo", "train")
# What may stand before any command.
_OPTIONS = ("-h", "--help", "--version", "--install-completion", "--show-completion")
# Commands of other programs, and what they are here.
_WORDS = {"help": "--help", "version": "--version"}


class _WithShortForm(TyperGroup):
    """Reads `MODEL ...` as `run MODEL ...`, also while a shell completes it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what begins with no command."""
        return super().parse_args(ctx, _with_command(args, guess=not ctx.resilient_parsing))


class _Command(TyperCommand):
    """A command whose help shows no type behind `--help`."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option, a flag like the others."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


app = typer.Typer(
    name="edgepress",
    cls=_WithShortForm,
    help="Compress a fine-tuned Transformer encoder inside an accuracy budget, and prove it.\n\n"
    "`edgepress MODEL --data DATA` is short for `edgepress run MODEL --data DATA`.",
    epilog="Documentation: docs/index.md in the repository; `make docs` makes pages of it.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in _COMMANDS:
    _name = _command.__name__
    _examples = "\n\n".join(f"  {example}" for example in _EXAMPLES[_name])
    app.command(cls=_Command, epilog=f"Examples:\n\n{_examples}")(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from runtimes.versions import tool_version

        sys.stdout.write(f"edgepress {tool_version()}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_print_version,
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Take the options that stand before any command."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return the exit code.

    Known errors are printed with what to do next; a traceback appears only with EDGEPRESS_DEBUG=1.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with open_streams(), stopping_signals() as received:
        return _run(arguments, received)


def _run(arguments: list[str], received: list[signal.Signals]) -> int:
    command = ""
    try:
        command = _with_command(arguments)[0]
        if command in (*_RESUMABLE, "bench"):
            _check_names(arguments)
        if command in _RESUMABLE:
            wait_passively()
            if warning := missing_processes(arguments):
                tell(warning, kind="warning")
        typed = shlex.join([*program(), *arguments])
        # Typer turns Ctrl-C into the result 130; commands themselves return nothing.
        with unmasking_stops():
            code = app(args=arguments, prog_name=_program(), standalone_mode=False, obj=typed)
        if code == 130:
            raise KeyboardInterrupt
        sys.stdout.flush()  # here, where a full disk is answered
    except EdgepressError as error:
        if os.environ.get("EDGEPRESS_DEBUG") == "1":
            raise
        return _failed(error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped(received, command)
    except typer.Exit as stop:
        return stop.exit_code
    except (BrokenPipeError, SystemExit) as stop:  # Typer makes the second of the first
        if not any(isinstance(each, BrokenPipeError) for each in (stop, stop.__context__)):
            raise
        return 0  # the reader of a pipe has seen enough
    except Exception as error:
        # what is neither the machine's nor the command line's fault is a bug: let it show
        if (known := _known(error, command)) is None:
            raise
        return _failed(*known)
    return 0


def _stopped(received: list[signal.Signals], command: str) -> int:
    number = received[-1] if received else signal.SIGINT
    resume = "; the same command goes on from the last finished stage"
    sys.stderr.write(f"\n{describe_stop(number)}{resume if command in _RESUMABLE else ''}\n")
    return 128 + number  # what shells report for a program that a signal ended


def _known(error: Exception, command: str) -> tuple[str, str | None, int] | None:
    """Return message, hint and exit code of an error of the machine or of click; None of others."""
    of_machine = (OSError, MemoryError, ModuleNotFoundError)
    if isinstance(error, of_machine) and os.environ.get("EDGEPRESS_DEBUG") == "1":
        return None
    if isinstance(error, MemoryError):
        return "there is not enough memory", None, 1
    if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
        return f"{error.filename or 'writing'}: {error.strerror}", None, 1
    if isinstance(error, ModuleNotFoundError) and (absent := missing(error)):
        return *absent, 3
    if not hasattr(error, "format_message"):
        return None
    known = f" {command}" if command in _NAMES else ""
    code = int(getattr(error, "exit_code", 2))
    return error.format_message(), f"try: edgepress{known} --help", code


def _check_names(arguments: list[str]) -> None:
    """Refuse names that could not be written into a report.

    Raises:
        UsageError: One is not UTF-8.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"{argument} is not UTF-8, as reports are",
                hint="rename it, or set PYTHONUTF8=1 where the locale is not UTF-8",
            ) from None


def _program() -> str:
    """Return the name that was typed: completion scripts are installed under it."""
    name = Path(sys.argv[0]).stem
    return name if name == "compress" else "edgepress"


def _failed(message: str, hint: str | None, code: int) -> int:
    tell(message if hint is None else f"{message}\n{hint}", kind="error")
    return code


def _with_command(arguments: list[str], *, guess: bool = True) -> list[str]:
    """Make `MODEL ...` into `run MODEL ...`.

    Args:
        arguments: What was typed after the program's name.
        guess: Whether the first of them may be a misspelt command.

    Raises:
        UsageError: It is one.
    """
    if not arguments:
        return ["--help"] if guess else []
    first = arguments[0]
    if first in _WORDS and not Path(first).exists():
        return [*arguments[1:], _WORDS[first]]
    if first in _NAMES or first.partition("=")[0] in _OPTIONS:
        return arguments
    named = first.startswith("-") or "/" in first or Path(first).exists()
    if guess and not named and (near := nearest(first, _NAMES, cutoff=0.7)):
        raise UsageError(
            f"there is no command {first!r}, and no model of that name",
            hint=f"did you mean: edgepress {near}",
        )
    return ["run", *arguments]


if __name__ == "__main__":
    sys.exit(main())
