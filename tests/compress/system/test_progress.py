"""Progress: bars for people, lines in the log for everyone."""

import io
import logging
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from compress.system.progress import (
    LineProgress,
    NotebookProgress,
    SilentProgress,
    TerminalProgress,
    Waiting,
    fitting_progress,
)


def test_silent_progress_logs_the_last_figures(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, logger="edgepress"),
        SilentProgress().track("training", 3) as task,
    ):
        task.advance(loss=2.0)
        task.advance(2, loss=1.0, accuracy=50)
    assert caplog.messages[-1].startswith("training: 0.0 s")
    assert caplog.messages[-1].endswith(", loss 1, accuracy 50")


def test_bars_go_to_stderr_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with TerminalProgress().track("training", 2) as task:
        task.advance(1, loss=0.5)
        task.advance(1, loss=0.25)
    assert "training" in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook's cell has shown, by a stand-in for IPython in a kernel."""
    shown: list[str] = []

    class Handle:
        def update(self, html: str) -> None:
            shown.append(html)

    class Shell:
        kernel = object()

    def display(html: str, *, display_id: bool) -> Handle:
        assert display_id
        assert not shown, "one display for all work"
        shown.append(html)
        return Handle()

    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = Shell
    ipython.display = ModuleType("IPython.display")
    ipython.display.HTML, ipython.display.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_a_notebook_gets_a_bar_that_goes(cell: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotebookProgress, "every_s", 0.0)
    progress = fitting_progress()
    assert isinstance(progress, NotebookProgress)
    for _ in range(2):
        with progress.track("training <b>", 4) as task:
            task.advance(1, loss=0.5)
    assert 'training &lt;b&gt; <progress value="1" max="4">' in cell[1]
    assert "1/4, 0 s left, loss 0.5" in cell[1]
    assert [cell[0].count("0/4"), cell[2], cell[-1]] == [1, "", ""]


def test_a_file_gets_lines() -> None:
    assert isinstance(fitting_progress(), LineProgress)


@pytest.mark.parametrize("kind", [SilentProgress, TerminalProgress])
def test_an_error_passes_and_is_no_success(kind: type, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, logger="edgepress"),
        pytest.raises(KeyboardInterrupt),
        kind().track("training", 2),
    ):
        raise KeyboardInterrupt
    assert not caplog.messages


def test_waiting_is_told_once_with_its_end_and_then_beside_the_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LineProgress, "every_s", 0.0)
    progress = LineProgress()
    waiting = Waiting(progress)
    with progress.track("latency", 4) as task:
        for waited_s in (0.4, 12.6):
            waiting.show(task, waited_s, 60.0)
    shown = capsys.readouterr().err
    assert shown.count("note: The machine is busy") == 1
    assert shown.startswith("note: ")
    assert "up to 60 s more" in shown
    assert "latency, s waited of 60: 13" in shown


def test_what_is_said_is_said_once_where_nothing_logs() -> None:
    code = "from compress.system.progress import LineProgress; LineProgress().say('busy')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "note: busy\n"


@pytest.mark.parametrize("width", ["80", "100"])
def test_a_terminal_says_above_its_bar_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    for name, value in {"TERM": "xterm", "FORCE_COLOR": "1", "COLUMNS": width}.items():
        monkeypatch.setenv(name, value)
    progress = TerminalProgress()
    with progress.track("measuring: latency", 20) as task:
        Waiting(progress).show(task, 3.0, 60.0)
    assert "note: The machine is busy" in terminal.getvalue()
    assert "takes up to 60 s more" in " ".join(terminal.getvalue().split())
