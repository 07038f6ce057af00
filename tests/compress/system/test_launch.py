"""What is said where a launcher started fewer processes than it was asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compress.system.launch import missing_processes

ALONE = {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize("size", ["WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_processes_that_were_started_are_not_missed(size: str) -> None:
    assert missing_processes(["train"], {**ALONE, size: "2"}) is None
    assert missing_processes(["train"], {}) is None
    assert missing_processes(["train"], {"ACCELERATE_USE_CPU": "True"}) is None


def test_accelerate_on_cpus_without_mpi_is_told_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    command += ["-m", "edgepress", "train", "no such base", "--data", "no such data"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=120,
        check=False,
    )
    assert "warning: this is one process" in done.stderr
    assert "torchrun --nproc_per_node 2 -m edgepress train 'no such base'" in done.stderr
