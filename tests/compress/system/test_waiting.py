"""OpenMP's threads: a run's sleep while they wait, those that are timed are left alone."""

import os
import subprocess
import sys

import pytest

from benchmarks import child
from compress.system.waiting import wait_passively

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process had just been started, with nothing in its environment."""
    monkeypatch.setattr(child, "_own", set())
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_openmp_is_told_before_it_is_loaded() -> None:
    """OpenMP says itself what it read; what is timed reads what the environment said before."""
    script = (
        "import os, sys, compress.cli.app as app\n"
        "app.main(['run', 'no-such-model', '--data', 'no-such-file'])\n"
        "from benchmarks.child import inherited_environment as inherited\n"
        "print(os.environ['OMP_WAIT_POLICY'], 'OMP_WAIT_POLICY' in inherited())\n"
        "import torch\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_DISPLAY_ENV": "TRUE"},
    )
    assert done.stdout.split() == ["PASSIVE", "False"]
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            wait_passively()
            assert child.inherited_environment()[name] == "1"
            assert [other for other in NAMES if other in os.environ] == [name]


def test_a_process_that_has_loaded_torch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", object())  # type: ignore[arg-type]
    wait_passively()
    assert "OMP_WAIT_POLICY" not in os.environ
