"""SIGTERM and SIGHUP end a command as Ctrl-C does."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from compress.cli import app
from compress.cli.signals import stopping_signals
from compress.system.logs import logging_to


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_says_which_signal_stopped_it(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    def work(**_: Any) -> None:
        with logging_to(tmp_path / "run.log"):
            os.kill(os.getpid(), number)
            time.sleep(5)

    monkeypatch.setattr(app, "app", work)
    before = signal.signal(number, signal.SIG_DFL)  # nohup, for one, has it ignored
    try:
        assert app.main(["train", "base"]) == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == (
        f"\nstopped by {number.name}; the same command goes on from the last finished stage\n"
    )
    assert f"stopped: {number.name}" in (tmp_path / "run.log").read_text()


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_signals() as received:
            os.kill(os.getpid(), signal.SIGHUP)
            assert received == []
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_set_no_handlers() -> None:
    seen: list[Any] = []

    def look() -> None:
        with stopping_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
