"""Two processes train and distil as `accelerate launch` starts them, on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2"]
    command += ["--cpu", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "-m", "compress", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=500, check=False
    )


def test_two_processes_train_and_distil(task: Any, tmp_path: Path) -> None:
    base, teacher = task.save_bert(tmp_path / "base"), tmp_path / "teacher"
    done = launch(
        *("train", str(base), "--data", str(task.data), "--out", str(teacher)),
        *("learning_rate=3e-3", "epochs=4", "batch_size=16"),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((teacher / "training.json").read_text())
    assert record["metric"]["value"] > 90
    assert done.stdout.count("accuracy") == 1, "one process tells of it"
    steps = max(entry["step"] for entry in record["history"])
    assert steps == 4 * -(-360 // 32), "16 examples of each of the two make a step"

    out = tmp_path / "out"
    done = launch(
        *(str(teacher), "--data", str(task.data), "--out", str(out), "--max-drop", "9"),
        *("distill.epochs=2", "distill.augment=1", "distill.learning_rate=1e-3"),
        *("distill.enough=0", "prune.neuron_step=8", "quantize.alternatives=false"),
        *("speedups=[]", "distill.layers=2", "benchmark_rounds=2", "threads=1"),
        *("stages=[distill, prune, quantize]", "prune.steps=1", "every_runtime=false"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    lineages = {member["name"]: member["lineage"] for member in report["family"]}
    distilled = lineages["distill"][-1]
    assert distilled["stage"] == "distill"
    assert distilled["selection_accuracy"] > 80
    assert report["recommended"] is not None
    assert not (out / ".edgepress" / "scratch").exists()
