"""SIGTERM and SIGHUP end a command as Ctrl-C does."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from compress.cli import app
from compress.cli.process.signals import stopping_signals
from compress.system.logs import logging_to

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Gets a signal while something is imported that would swallow its exception.
IMPORTER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
import sys
sys.path.insert(0, {folder!r})
from {package} import {module}
{act}
print("went on")
"""
# Gets one when it is about to import a module that every command needs, and no handler has yet.
INTERRUPTING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup has it ignored
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.endswith(("compress.cli.entry", "runtimes.serving.command")):
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""
SWALLOWING = """
import os, signal
class Left:
    def __del__(self):
        signal.raise_signal({number})
Left()
"""


def _import_signalled(folder: Path, number: int, module: str, act: str) -> Any:
    """Return how a process ends that gets a signal within an import."""
    (folder / "swallowing.py").write_text(SWALLOWING.format(number=int(number)))
    package, _, name = module.rpartition(".")
    code = IMPORTER.format(folder=str(folder), package=package, module=name, act=act)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_the_import_of_the_command_itself(
    number: signal.Signals, tmp_path: Path
) -> None:
    act = "with signals.ending_at_once():\n    import swallowing"
    done = _import_signalled(tmp_path, number, "compress.cli.process.signals", act)
    what = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", f"\n{what}\n")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_waits_for_the_end_of_an_import(number: signal.Signals, tmp_path: Path) -> None:
    act = (
        "import time\n"
        "def work(**_):\n"
        "    import swallowing\n"
        "    print('imported', flush=True)\n"
        "    time.sleep(5)\n"
        "app.app = work\n"
        "code = app.main(['train', 'base'])\n"
        "assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL\n"
        "raise SystemExit(code)"
    )
    done = _import_signalled(tmp_path, number, "compress.cli.app", act)
    what = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    resumes = "the same command goes on from the last finished stage"
    assert done.stderr == f"\n{what}; {resumes}\n"
    assert (done.returncode, done.stdout) == (128 + number, "imported\n")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_where_exceptions_are_ignored_is_not_lost(
    number: signal.Signals, tmp_path: Path
) -> None:
    act = (
        "import time\n"
        "class Left:\n"
        f"    def __del__(self): signal.raise_signal({int(number)})\n"
        "def work(**_):\n"
        "    Left()\n"
        "    print('left', flush=True)\n"
        "    time.sleep(5)\n"
        "    print('went on')\n"
        "app.app = work\n"
        "raise SystemExit(app.main(['train', 'base']))"
    )
    done = _import_signalled(tmp_path, number, "compress.cli.app", act)
    what = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    resumes = "the same command goes on from the last finished stage"
    assert done.stderr == f"\n{what}; {resumes}\n"
    assert (done.returncode, done.stdout) == (128 + number, "left\n")


@pytest.mark.parametrize(
    "command",
    [["-m", "edgepress"], ["-m", "compress"], ["-m", "runtimes"], ["{folder}/edgepress"]],
    ids=" ".join,
)
def test_ctrl_c_before_there_are_handlers_prints_nothing(
    command: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "edgepress"
    script.write_text("from edgepress.compress.cli.entry import main\nmain()\n")
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    done = subprocess.run(
        [sys.executable, *(word.format(folder=tmp_path) for word in command)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(app.__file__).parents[2]}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_what_libraries_make_of_a_signal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(**_: Any) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as stop:
            raise SystemError("returned a result with an exception set") from stop

    monkeypatch.setattr(app, "app", work)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup has it ignored
    try:
        assert app.main(["doctor"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)


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
