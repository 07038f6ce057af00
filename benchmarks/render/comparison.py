"""Prints two reports side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.compare import Change
from benchmarks.render.figures import MISSING, full_name, megabytes
from runtimes.escaping import escape_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_changes"]


def print_changes(changes: Sequence[Change], console: "Console") -> None:
    """Print a line for each quantity of each row: before, after, the change, and what it means."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("row", overflow="fold")
    table.add_column("")
    for name in ("before", "after", "change (95%)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    previous = None
    for change in changes:
        name = full_name(change.row)
        verdict = "worse" if change.regression else ""
        cells = [name if name != previous else "", change.quantity, *_figures(change), verdict]
        table.add_row(
            *(Text(escape_line(cell)) for cell in cells), style="red" if change.regression else ""
        )
        previous = name
    console.print(table)


def _figures(change: Change) -> tuple[str, str, str]:
    of = change.change
    match change.quantity:
        case "speed-up":
            return (
                f"{change.before:.1f}×",  # noqa: RUF001
                f"{change.after:.1f}×",  # noqa: RUF001
                f"×{of.value:.2f} ({of.low:.2f}{MISSING}{of.high:.2f})",  # noqa: RUF001
            )
        case "drop":
            return (
                f"{change.before:.1f}",
                f"{change.after:.1f}",
                f"{of.value:+.1f} ({of.low:+.1f} to {of.high:+.1f})",
            )
        case "size":
            return (
                f"{megabytes(int(change.before))} MB",
                f"{megabytes(int(change.after))} MB",
                f"{of.value / 1e6:+.2f} MB",
            )
        case "measured":
            return "yes", "no", change.row.error or "missing"
