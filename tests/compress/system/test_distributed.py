"""Two processes train and distil together, on the CPU."""

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
    # What `accelerate launch` does for GPUs; for CPUs it wants MPI.
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", "0", "--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
    command += ["-m", "compress", *arguments]
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    environment = {**os.environ, **settings}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=500, check=False
    )


def test_two_processes_train_and_distil(task: Any, tmp_path: Path) -> None:
    base, teacher = task.save_bert(tmp_path / "base"), tmp_path / "teacher"
    done = launch(
        *("train", str(base), "--data", str(task.data), "--out", str(teacher)),
        *("learning_rate=3e-3", "epochs=6", "patience=20", "batch_size=16"),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((teacher / "training.json").read_text())
    assert record["metric"]["value"] > 90
    assert done.stdout.count("accuracy") == 1, "one process tells of it"
    steps = max(entry["step"] for entry in record["history"])
    assert steps == 6 * -(-360 // 32), "16 examples of each of the two make a step"
    looks = sum("eval_accuracy" in entry for entry in record["history"])
    assert looks == 6 * 2, "two an epoch"

    out = tmp_path / "out"
    done = launch(
        *(str(teacher), "--data", str(task.data), "--out", str(out), "--max-drop", "9"),
        *("--effort", "fast"),
        *("distill.epochs=2", "distill.augment=1", "distill.learning_rate=1e-3"),
        *("distill.enough=0", "quantize.alternatives=false"),
        *("speedups=[]", "distill.layers=2", "benchmark_rounds=2", "threads=1", "throughput=false"),
        *("stages=[distill, quantize]", "every_runtime=false"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    lineages = {member["name"]: member["lineage"] for member in report["family"]}
    [distilled] = [entry for entry in lineages["distill"] if entry["stage"] == "distill"]
    assert distilled["selection_accuracy"] > 80
    assert report["recommended"] is not None
    assert not (out / ".edgepress" / "scratch").exists()


def test_two_processes_pretrain_by_the_loss_of_one(task: Any, tmp_path: Path) -> None:
    base, text = task.save_bert(tmp_path / "base"), tmp_path / "text.txt"
    text.write_text("\n\n".join(sentence for sentence, _ in task.make_rows(400, seed=5)))
    done = launch(
        *("train", str(base), "--data", str(text), "--objective", "mlm"),
        *("--out", str(tmp_path / "out"), "learning_rate=3e-3", "epochs=2", "accumulate=2"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: ") == 1, "one process tells of the new head"
    history = json.loads((tmp_path / "out" / "training.json").read_text())["history"]
    looks = [entry for entry in history if "eval_loss" in entry]
    assert looks
    for entry in looks:
        assert entry["eval_loss"] == pytest.approx(entry["eval_masked_loss"], rel=0.2)
