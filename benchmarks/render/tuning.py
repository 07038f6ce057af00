"""Prints what tuning found."""

from pathlib import Path

from benchmarks.render.figures import MISSING, milliseconds
from runtimes.artifact import TUNING_NAME
from runtimes.escaping import escape_line
from runtimes.registry import runtime_title
from runtimes.tuning import Tuning

__all__ = ["print_tuning"]


def print_tuning(tuning: Tuning, folder: Path) -> None:
    """Print a line for each setting, the fastest first, and where the result is kept."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("runtime", "prec.", "threads", "options", "p50 ms", "rounds"):
        left = name in ("runtime", "prec.", "options")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    table.add_column("", overflow="fold")
    for one in tuning.tried:
        setting = one.setting
        options = ", ".join(f"{name} {value}" for name, value in setting.options.items())
        cells = [
            runtime_title(setting.runtime),
            setting.precision,
            str(setting.threads),
            options or MISSING,
            milliseconds(one.p50_ms),
            str(one.rounds),
            one.error or "",
        ]
        best = setting == tuning.best
        table.add_row(
            *(Text(escape_line(cell)) for cell in cells), style="bold green" if best else ""
        )
    kept = escape_line(str(folder / TUNING_NAME))
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    console.print(table)
    console.print(
        f"\nMeasured on {tuning.texts:,} texts, one at a time; more rounds where it was close.\n"
        f"{tuning.device}\nKept in {kept}: runtimes.load goes by it here.",
        highlight=False,
        markup=False,
    )
