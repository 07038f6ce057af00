"""What the subcommands share: their common options, progress, and JSON on stdout."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.errors import UsageError
from compress.system.program import program
from runtimes.escaping import dump_json, escape_lines

if TYPE_CHECKING:
    from benchmarks.report import Report
    from compress.api import Result

__all__ = [
    "EFFORTS",
    "Data",
    "Device",
    "Effort",
    "Json",
    "LabelColumn",
    "Overwrite",
    "PairColumn",
    "Quiet",
    "Revision",
    "RuntimeName",
    "TextColumn",
    "Threads",
    "Trusted",
    "efforts",
    "finish",
    "require_data",
    "show_report",
    "tell",
    "wide_console",
    "write_json",
]

EFFORTS = {
    "fast": "prunes and quantizes, without training: minutes",
    "balanced": "makes a family of models, each smaller than the one before, and distils them",
    "best": "makes more models and trains them longer",
}
"""What each preset does, in a line."""


def efforts(incomplete: str) -> list[tuple[str, str]]:
    """Complete a preset's name, with its line."""
    return [(name, line) for name, line in EFFORTS.items() if name.startswith(incomplete)]


Data = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Labelled text (required): file or folder (csv, tsv, json, jsonl, parquet) or hub id.",
    ),
]
Effort = Annotated[
    str | None,
    typer.Option(
        metavar="[fast|balanced|best]",
        help="fast does not train; balanced is the default.",
        autocompletion=efforts,
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON instead of a table.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", metavar="", help="No progress, only the result.")
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", metavar="", help="Take over an OUT of another model, data or task."
    ),
]
TextColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of the text, if not found by name.")
]
PairColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of the second sentence of pairs.")
]
LabelColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the label.")]
Threads = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="CPU threads; by default all cores.")
]
RuntimeName = Annotated[
    str | None,
    typer.Option(
        metavar="[onnxruntime|openvino]", help="By default what its manifest names first."
    ),
]
Device = Annotated[str, typer.Option(metavar="[cpu|cuda|gpu|npu]", help="Where it runs.")]
Trusted = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Public key (.pub file) that must have signed the artifact."),
]
Revision = Annotated[
    str | None,
    typer.Option(metavar="REVISION", help="Branch, tag or commit of an artifact on the hub."),
]


def require_data(data: str | None, why: str, command: Sequence[str]) -> str:
    """Return `data`.

    Args:
        data: What followed `--data`.
        why: What it is needed for.
        command: The words that were typed so far, to be tried again.

    Raises:
        UsageError: There is none.
    """
    if data is None:
        typed = shlex.join(["edgepress", *command, "--data", "my-data.csv"])
        raise UsageError(f"--data is missing: {why}", hint=f"try: {typed}")
    return data


def write_json(value: Any) -> None:
    """Print a value on stdout."""
    sys.stdout.write(dump_json(value, indent=2) + "\n")


def tell(message: str, *, kind: str = "") -> None:
    """Print a message on stderr.

    Args:
        message: What others wrote in it is made harmless; lines after the first are indented.
        kind: What stands before it, such as `note`.
    """
    before = f"{kind}: " if kind else ""
    sys.stderr.write(f"{before}{escape_lines(message, ' ' * len(before))}\n")


def wide_console() -> Any:
    """Return rich's console on stdout, wide enough for a table where stdout is no terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=120)


def show_report(report: "Report", *, as_json: bool) -> None:
    """Print a report as a table, or as JSON, and what to know of its data and of itself."""
    if as_json:
        write_json(report.to_json())
    else:
        from benchmarks.render.terminal import print_report

        print_report(report, wide_console())
    for note in (*report.data.get("notes", ()), *report.notes):
        tell(note, kind="note")


def finish(result: "Result", out: Path, *, as_json: bool) -> None:
    """Print a run's table, and where things are.

    Raises:
        BudgetError: No model met the budget.
    """
    if not result.main_process:  # the first of several processes tells
        return
    show_report(result.report, as_json=as_json)
    from export.examples import example_command

    artifact, checkpoint = result.artifact, result.recommended.checkpoint
    tell("")
    tell(f"artifact  {artifact}")
    if checkpoint is not None:
        tell(f"PyTorch   {checkpoint}")
    tell(f"report    {out / 'report.html'}")
    tell(f"try it    {example_command(artifact, program())}")
