"""Prints a report as a table in the terminal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from benchmarks.render import figures
from benchmarks.render.headline import headline
from benchmarks.report import Report, Row
from runtimes.escaping import escape_line, escape_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["build_table", "print_report"]

_RECOMMENDED, _REFERENCE, _FAILED = "★", "=", "✗"


@dataclass(frozen=True)
class _Column:
    """One column: its two-line header, its cell, and how early it is given up for want of room."""

    header: str
    cell: Callable[[Row], str]
    keep: int  # columns with the highest numbers go first when the terminal is narrow
    justify: Literal["left", "right"] = "right"


_COLUMNS = (
    _Column("\nruntime", figures.runtime_name, 1, "left"),
    _Column("\nprec.", lambda row: row.precision or figures.MISSING, 2, "left"),
    _Column("p50\nms", lambda row: figures.median(row.end_to_end_ms), 0),
    _Column("p99\nms", lambda row: figures.rare(row.end_to_end_ms), 6),
    _Column("model\nms", lambda row: figures.median(row.model_ms), 8),
    _Column("speed-\nup", lambda row: figures.ratio(row.sure_speedup)[0], 0),
    _Column("95%\ninterval", lambda row: figures.ratio(row.sure_speedup)[1], 4),
    _Column("{metric}\n{unit}", figures.accuracy_points, 0),
    _Column("drop\npoints", lambda row: figures.drop_points(row.drop)[0], 0),
    _Column("95%\ninterval", lambda row: figures.drop_points(row.drop)[1], 3),
    _Column("size\nMB", lambda row: figures.megabytes(row.size_bytes), 5),
    _Column("mem.\nMB", lambda row: figures.megabytes(row.rss_bytes), 7),
    _Column("load\nms", lambda row: figures.whole(row.load_ms), 9),
    _Column("batch\n/s", lambda row: figures.whole(row.throughput_per_s), 10),
)


def _header(column: _Column, report: Report) -> str:
    from rich.markup import escape

    name, _, unit = escape(escape_line(figures.metric_title(report))).rpartition(" ")
    if figures.measured_by_agreement(report):
        name = "agree"
    return column.header.format(metric="acc." if name == "accuracy" else name, unit=unit)


_MODEL_WIDTH = 20  # narrower than this, a folded name is worse to miss than a column
_GAP = 2  # the padding and the column that this box keeps for its (blank) dividers


def print_report(report: Report, console: "Console") -> None:
    """Print what is in doubt, the table, what its marks mean, what failed, and the result.

    The table has the columns that the console is wide enough for; at 100 they are those that
    a decision needs.
    """
    from rich.markup import escape
    from rich.padding import Padding

    if doubts := figures.doubts_and_advice(report):
        console.print(f"[bold yellow]{escape(escape_line(doubts))}[/]\n", highlight=False)
    console.print(build_table(report, console.width))
    console.print()
    for row in report.rows:
        if row.error is not None:
            failure = escape_lines(f"{figures.full_name(row)}: {row.error}", " " * len("failed  "))
            console.print(f"[red]failed[/]  {escape(failure)}", highlight=False)
    legend = escape_lines(_legend(report))
    result = escape_line(" ".join(filter(None, (headline(report), figures.result(report)))))
    console.print(Padding(f"[dim]{escape(legend)}[/]", (0, 0, 1, 0)), highlight=False)
    console.print(f"[bold]{escape(result)}[/]", highlight=False)


def build_table(report: Report, width: int = 100) -> "Table":
    """Build the rows as a rich table that is at most `width` columns wide."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = _fitting(report, width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("", width=1)
    table.add_column("\nmodel", overflow="fold")
    for column in columns:
        table.add_column(_header(column, report), justify=column.justify, no_wrap=True)
    for row in report.rows:
        cells = [_mark(report, row), row.model, *(column.cell(row) for column in columns)]
        table.add_row(*(Text(escape_line(cell)) for cell in cells), style=_style(report, row))
    return table


def _fitting(report: Report, width: int) -> list[_Column]:
    """Return the columns that fit beside the model's name; less important ones go first."""
    from rich.cells import cell_len

    def space(column: _Column) -> int:
        cells = [column.cell(row) for row in report.rows]
        return _GAP + max(cell_len(text) for text in (*_header(column, report).split("\n"), *cells))

    names = max((cell_len(row.model) for row in report.rows), default=0)
    left = width - (1 + _GAP) - min(names, _MODEL_WIDTH)
    kept = []
    for column in sorted(_COLUMNS, key=lambda column: column.keep):
        left -= space(column)
        if left < 0 and column.keep > 0:
            break
        kept.append(column)
    return [column for column in _COLUMNS if column in kept]


def _mark(report: Report, row: Row) -> str:
    if row.id == report.recommended:
        return _RECOMMENDED
    if row.error is not None:
        return _FAILED
    return _REFERENCE if row.id == report.reference else ""


def _style(report: Report, row: Row) -> str:
    if row.error is not None:
        return "red"
    return "bold green" if row.id == report.recommended else ""


def _legend(report: Report) -> str:
    """Say what the marks, columns and intervals mean, and where it was measured."""
    reference = report.row(report.reference)
    timed = [row.end_to_end_ms.n for row in report.rows if row.end_to_end_ms is not None]
    tested = [row.metric for row in report.rows if row.metric is not None]
    sentences = [
        (f"{_RECOMMENDED} {figures.recommended_mark(report)}, " if report.recommended else "")
        + f"{_REFERENCE} reference.",
        "ms: one input, text to answer."
        + (
            f" {min(timed)} timings a row, in turns; a p99 that is noise is left out."
            if timed
            else ""
        ),
        "Speed-up and drop (points lost) are paired with the reference; intervals are 95%.",
    ]
    if tested and figures.measured_by_agreement(report):
        sentences[-1] = (
            "Speed-up is paired with the reference. Agree: with the reference's answers to "
            f"{max(m.n for m in tested):,} texts; drop: what that lacks to 100. Intervals are 95%."
        )
    elif tested:
        name = tested[0].name
        sentences.append(f"{name[0].upper()}{name[1:]} on {max(m.n for m in tested):,} examples.")
    if reference.end_to_end_ms is None:
        sentences.append("The reference was not timed, so there is no speed-up.")
    lines = [
        " ".join(sentences),
        figures.left_out(report),
        figures.budget_line(report),
        figures.describe_cpu(report.environment),
    ]
    return "\n".join(line for line in lines if line)
