"""Progress of long work: bars on a terminal and in a notebook, lines elsewhere and in the log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Any, Protocol

__all__ = [
    "LineProgress",
    "NotebookProgress",
    "Progress",
    "SilentProgress",
    "Task",
    "TerminalProgress",
    "fitting_progress",
]

_log = logging.getLogger("edgepress")


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """`steps` more are done; `figures` (a loss, an accuracy) are shown beside the bar."""
        ...


class Progress(Protocol):
    """Where stages report to; they never print."""

    def track(self, description: str, total: int) -> AbstractContextManager[Task]:
        """A context manager around `total` steps of work; gives the `Task` to advance."""
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


class _LoggedTask:
    """Counts, and writes one line to the log when the work ends."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def advance(self, steps: int = 1, **figures: float) -> None:  # noqa: ARG002 - the seam's
        self.figures.update(figures)


def _log_end(description: str, seconds: float, figures: dict[str, float]) -> None:
    _log.info("%s: %.1f s%s", description, seconds, _shown(figures))


def _shown(figures: dict[str, float]) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in figures.items())


class SilentProgress:
    """Writes to the log only: for `--quiet` and tests."""

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:  # noqa: ARG002 - the seam's
        task, start = _LoggedTask(), time.monotonic()
        yield task
        _log_end(description, time.monotonic() - start, task.figures)


class LineProgress:
    """A line on stderr when work begins, every half minute, and when it ends: for log files."""

    every_s = 30.0

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:
        start = time.monotonic()
        task = _Lines(description, total, self.every_s)
        yield task
        seconds = time.monotonic() - start
        sys.stderr.write(f"{description}: done in {seconds:.0f} s{_shown(task.figures)}\n")
        _log_end(description, seconds, task.figures)


class _Lines:
    def __init__(self, description: str, total: int, every_s: float) -> None:
        self.figures: dict[str, float] = {}
        self._description, self._total, self._every = description, total, every_s
        self._done, self._start = 0, time.monotonic()
        self._next = self._start + every_s

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._done += steps
        self.figures.update(figures)
        now = time.monotonic()
        if now < self._next or not self._done:
            return
        self._next = now + self._every
        left = _seconds_left(now - self._start, self._done, self._total)
        sys.stderr.write(
            f"{self._description}: {self._done} of {self._total}, about {left:.0f} s left"
            f"{_shown(self.figures)}\n"
        )


def _seconds_left(seconds: float, done: int, total: int) -> float:
    """What the rest takes if it goes on as so far."""
    return seconds * (total / done - 1)


class NotebookProgress:
    """Show a bar with time left below a notebook's cell, one for all work, and nothing at the end.

    It needs IPython alone, which every kernel has, and no widgets.
    """

    every_s = 0.5

    def __init__(self) -> None:
        self._handle: Any = None

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Task]:
        task = _Cell(self._draw, description, total, self.every_s)
        task.advance(0)
        try:
            yield task
        finally:
            self._draw("")
        _log_end(description, task.seconds, task.figures)

    def _draw(self, html: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


class _Cell:
    """Draws a bar, at most every `every_s` seconds."""

    def __init__(
        self, draw: Callable[[str], None], description: str, total: int, every_s: float
    ) -> None:
        self.figures: dict[str, float] = {}
        self._draw, self._every = draw, every_s
        self._description, self._total = description, total
        self._done, self._start = 0, time.monotonic()
        self._next = self._start

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._done += steps
        self.figures.update(figures)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        left = ""
        if self._done:
            left = f", {_seconds_left(self.seconds, self._done, self._total):.0f} s left"
        self._draw(
            f'{escape(self._description)} <progress value="{self._done}" max="{self._total}">'
            f"</progress> {self._done}/{self._total}{left}{escape(_shown(self.figures))}"
        )


class TerminalProgress:
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

        start = time.monotonic()
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
            task = _Bar(bars, bars.add_task(description, total=total, figures=""))
            yield task
        _log_end(description, time.monotonic() - start, task.shown)


class _Bar:
    def __init__(self, bars: object, task_id: object) -> None:
        self._bars, self._id = bars, task_id
        self.shown: dict[str, float] = {}

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.shown.update(figures)
        text = " ".join(f"{name} {value:.4g}" for name, value in self.shown.items())
        self._bars.update(self._id, advance=steps, figures=text)  # type: ignore[attr-defined]
