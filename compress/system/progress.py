"""Progress of long work: bars on a terminal and in a notebook, lines elsewhere and in the log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Any, Protocol

from runtimes.escaping import escape_lines

__all__ = [
    "LineProgress",
    "NotebookProgress",
    "Progress",
    "SilentProgress",
    "Task",
    "TerminalProgress",
    "Waiting",
    "fitting_progress",
]

_log = logging.getLogger("edgepress")


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """`steps` more are done; `figures` (a loss, an accuracy) are shown beside the bar."""
        ...

    def shorten(self, total: int) -> None:
        """There are fewer steps than was said."""
        ...


class Progress(Protocol):
    """Where stages report to; they never print."""

    def track(self, description: str, total: int) -> AbstractContextManager[Task]:
        """A context manager around `total` steps of work; gives the `Task` to advance."""
        ...

    def say(self, text: str) -> None:
        """Tell what cannot wait until the report; also the log."""
        ...


def fitting_progress() -> Progress:
    """Return what fits where the process writes to: a notebook, a terminal, or a file."""
    if _in_notebook():
        return NotebookProgress()
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; IPython in a terminal is a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Waiting:
    """Tells that a measurement waits for a quiet machine: once in a note, then beside the bar.

    Args:
        progress: Where the note goes.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._told = progress, False

    def show(self, task: Task, waited_s: float, most_s: float) -> None:
        """Tell the seconds waited until now, and that there are at most."""
        if not self._told:
            self._progress.say(
                "The machine is busy with something else. What that disturbs is measured again "
                f"when it is quiet, which takes up to {most_s:.0f} s more (EDGEPRESS_PATIENCE). "
                "What stays disturbed is left out."
            )
        self._told = True
        task.advance(0, **{f"s waited of {most_s:.0f}:": round(waited_s)})


class _Work:
    """Counts what is done, and lets it be shown, at most every `every_s` seconds."""

    def __init__(
        self,
        description: str,
        total: int,
        show: "Callable[[_Work], None] | None" = None,
        every_s: float = 0.0,
    ) -> None:
        self.description, self.total, self.done = description, total, 0
        self.figures: dict[str, float] = {}
        self._start = time.monotonic()
        self._show, self._every_s, self._next = show, every_s, self._start

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def seconds_left(self) -> float:
        """What the rest takes if it goes on as so far; something is done."""
        return self.seconds * (self.total / self.done - 1)

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.done += steps
        self.figures.update(figures)
        if self._show is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._show(self)

    def shorten(self, total: int) -> None:
        self.total = total

    def log(self) -> None:
        _log.info("%s: %.1f s%s", self.description, self.seconds, _shown(self.figures))


def _shown(figures: dict[str, float]) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in figures.items())


class SilentProgress:
    """Writes to the log only: for `--quiet` and tests."""

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:
        work = _Work(description, total)
        yield work
        work.log()

    def say(self, text: str) -> None:
        _log.warning("%s", text)


class _Loud:
    """What is said stands on stderr."""

    def say(self, text: str) -> None:
        if _log.hasHandlers():  # without any, Python prints it as well
            _log.warning("%s", text)
        sys.stderr.write(f"note: {escape_lines(text, '      ')}\n")


class LineProgress(_Loud):
    """A line on stderr every half minute, and when work ends: for log files."""

    every_s = 30.0

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:
        work = _Work(description, total, self._write, self.every_s)
        work.advance(0)  # nothing to say yet: the first line comes after `every_s`
        yield work
        sys.stderr.write(f"{description}: done in {work.seconds:.0f} s{_shown(work.figures)}\n")
        work.log()

    def _write(self, work: _Work) -> None:
        if work.done:
            sys.stderr.write(
                f"{work.description}: {work.done} of {work.total}, about {work.seconds_left:.0f} s "
                f"left{_shown(work.figures)}\n"
            )
        elif work.figures:
            sys.stderr.write(f"{work.description}{_shown(work.figures)}\n")


class NotebookProgress(_Loud):
    """Show a bar with time left below a notebook's cell, one for all work, and nothing at the end.

    It needs IPython alone, which every kernel has, and no widgets.
    """

    every_s = 0.5

    def __init__(self) -> None:
        self._handle: Any = None

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:
        work = _Work(description, total, self._draw, self.every_s)
        work.advance(0)
        try:
            yield work
        finally:
            self._display("")
        work.log()

    def _draw(self, work: _Work) -> None:
        left = f", {work.seconds_left:.0f} s left" if work.done else ""
        self._display(
            f'{escape(work.description)} <progress value="{work.done}" max="{work.total}">'
            f"</progress> {work.done}/{work.total}{left}{escape(_shown(work.figures))}"
        )

    def _display(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


class TerminalProgress(_Loud):
    """Bars with time left on stderr, when it is a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=sys.stderr)

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        with Bars(
            TextColumn("{task.description:<34.34}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            transient=True,
            refresh_per_second=4,
        ) as bars:
            bar = bars.add_task(description, total=total, figures="")

            def move(work: _Work) -> None:
                text = " ".join(f"{name} {value:.4g}" for name, value in work.figures.items())
                bars.update(bar, completed=work.done, total=work.total, figures=text)

            work = _Work(description, total, move)
            yield work
        work.log()
