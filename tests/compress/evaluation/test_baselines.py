"""Stock exports are made in a process of their own, which ends when it is no longer wanted."""

import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.child import module_command
from compress.evaluation.baselines import StockExports
from compress.system.progress import SilentProgress
from compress.system.workspace import Workspace
from export.stock import StockName

SLOW_CHILD = "import sys, time; sys.stdin.readline(); time.sleep(600)"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    return workspace


def exports(workspace: Workspace, checkpoint: Path, *names: StockName) -> StockExports:
    return StockExports(checkpoint, workspace, "key", [], names=names or None)


def command(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr("benchmarks.child.module_command", lambda _: [sys.executable, "-c", code])


def test_what_is_there_is_not_made_again(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(monkeypatch, "raise SystemExit('this was done already')")
    workspace.stock("onnx-int8", "key").mkdir(parents=True)
    with exports(workspace, tmp_path, "onnx-int8") as baselines:
        subjects = baselines.subjects(2, SilentProgress())
    assert [(s.id, s.runtime, s.precision, s.threads) for s in subjects] == [
        ("stock-onnx-int8", "onnxruntime", "int8", 2)
    ]


def test_one_that_cannot_be_made_is_left_out(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The real process, asked for a checkpoint that does not exist."""
    with (
        caplog.at_level(logging.WARNING, "edgepress"),
        exports(workspace, tmp_path / "nothing", "onnx-fp32", "openvino-fp32") as baselines,
    ):
        assert baselines.subjects(None, SilentProgress()) == []
    assert "stock export onnx-fp32 left out: transformers.exporters cannot make" in caplog.text
    assert "stock export openvino-fp32 left out" in caplog.text


def test_a_process_that_dies_takes_only_its_exports_along(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    command(monkeypatch, "raise SystemExit('out of everything')")
    with (
        caplog.at_level(logging.WARNING, "edgepress"),
        exports(workspace, tmp_path) as baselines,
    ):
        assert baselines.subjects(None, SilentProgress()) == []
    assert caplog.text.count("the process that makes it died: out of everything") == 4


def test_leaving_ends_the_process(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(monkeypatch, SLOW_CHILD)
    before = set(psutil.Process().children())
    with exports(workspace, tmp_path):
        [process] = set(psutil.Process().children()) - before
        assert process.status() != psutil.STATUS_ZOMBIE
    assert not process.is_running()


def test_the_process_ends_with_its_parent() -> None:
    """Also where the parent had no time to end it: in the middle of an export."""
    setup, _, start = module_command("export.stock_worker")[2].rpartition("; ")
    slow = "import time, export.stock_worker as w; w.export_stock = lambda *_: time.sleep(600)"
    request = '{"checkpoint": "x", "calibration": [], "targets": {"onnx-fp32": "y"}}'
    parent_code = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-c', {f'{setup}; {slow}; {start}'!r}]\n"
        "child = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)\n"
        f"print({request!r}, file=child.stdin, flush=True)\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    time.sleep(1)  # the child reads
    parent.kill()
    # The child writes to the same pipe: it ends when the child does.
    parent.communicate(timeout=30)
