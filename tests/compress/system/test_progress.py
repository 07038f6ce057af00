"""Progress: bars for people, lines in the log for everyone."""

import io
import logging

import pytest

from compress.system.progress import SilentProgress, TerminalProgress


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


@pytest.mark.parametrize("kind", [SilentProgress, TerminalProgress])
def test_an_error_passes_and_is_no_success(kind: type, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, logger="edgepress"),
        pytest.raises(KeyboardInterrupt),
        kind().track("training", 2),
    ):
        raise KeyboardInterrupt
    assert not caplog.messages
