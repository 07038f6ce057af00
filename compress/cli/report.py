"""`edgepress report`: a report's page anew, several reports on one, or a device's figures added."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.output import Json, show_report, tell, write_json
from compress.errors import UsageError
from runtimes.escaping import escape_line

__all__ = ["report"]

_PAGE = Path("reports.html")
_MERGE = Path("merge")  # a word, where no report is called so


def report(
    reports: Annotated[
        list[Path],
        typer.Argument(
            metavar="REPORT",
            help="Output folders or report.json files; one or several. Or merge OUT DEVICE.json.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE",
            help="HTML file to write; by default the report's own page, of several reports.html.",
        ),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(
            metavar="PRICE",
            min=0,
            help="Price of a core for an hour: says what a million inputs cost.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a report's page anew, or show what several reports recommend side by side.

    With `merge` before them, add to the first what was measured on the device it is for.
    """
    if reports[0] == _MERGE and not _MERGE.exists():
        if out is not None or price is not None:
            raise UsageError(
                f"{_MERGE} writes the report anew where it is, with no option but --json"
            )
        _merge(reports[1:], as_json=as_json)
        return
    from benchmarks.render.headline import summary
    from benchmarks.render.html import render_html
    from benchmarks.render.side_by_side import render_side_by_side, said_of
    from benchmarks.report import damage_named, load_report

    files = [path / "report.json" if path.is_dir() else path for path in reports]
    named = list(zip(_names(files), map(load_report, files), strict=True))
    target = out or (files[0].with_name("report.html") if len(files) == 1 else _PAGE)
    _check_target(target)
    if price is not None and not math.isfinite(price):
        raise UsageError(f"--price {price} is no price", hint="name a number, such as 0.05")
    with damage_named(*files):
        if len(named) == 1:
            page = render_html(named[0][1], price=price)
        else:
            page = render_side_by_side(named, price=price)
        said = [said_of(*each) for each in named]
        lines = [f"{name}: {summary(one)}" for name, one in named]
    target.write_text(page, encoding="utf-8")
    if as_json:
        write_json(said)
    else:
        _show(lines)
    tell(f"page  {target}")


def _merge(paths: Sequence[Path], *, as_json: bool) -> None:
    """Add what was measured on a device to a run's report.

    Raises:
        UsageError: They are not a report and what is to be added.
    """
    if len(paths) < 2 or (paths[0].is_file() and paths[0].name != "report.json"):
        raise UsageError(
            f"{_MERGE} takes a run's folder or report.json, and what was measured on the device",
            hint="try: edgepress report merge out/report.json device.json",
        )
    from compress.api import merge

    out = paths[0].parent if paths[0].name == "report.json" else paths[0]
    result = merge(out, paths[1:])
    show_report(result.report, as_json=as_json)
    tell(f"report    {out / 'report.html'}")


def _show(lines: Sequence[str]) -> None:
    sys.stdout.writelines(f"{escape_line(line)}\n" for line in lines)


def _names(files: Sequence[Path]) -> list[str]:
    """Name reports by their folders, as far back as tells them apart.

    Raises:
        UsageError: One is given twice.
    """
    paths = [file.absolute().parent if file.name == "report.json" else file for file in files]
    if len(set(paths)) < len(paths):
        raise UsageError("a report is given twice", hint="name each once")
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _check_target(target: Path) -> None:
    """Refuse to write over what is no page.

    Raises:
        UsageError: The target is a folder, or a file of another kind, or its folder is missing.
    """
    if target.suffix.lower() not in (".html", ".htm") or target.is_dir():
        raise UsageError(
            f"--out {target} is no HTML file", hint="name a page, such as --out reports.html"
        )
    if not target.absolute().parent.is_dir():
        raise UsageError(f"--out {target}: its folder does not exist", hint="make it first")
