"""Two processes train and distil together, on the CPU, to what one comes to by itself."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("two_processes.py")


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `compress` in two processes."""
    return in_two_processes("-m", "compress", *arguments)


def in_two_processes(*arguments: str) -> subprocess.CompletedProcess[str]:
    # What `accelerate launch` does for GPUs; for CPUs it wants MPI.
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", "0", "--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
    command += arguments
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    environment = {**os.environ, **settings}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=500, check=False
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw of `two_processes.py`."""
    folder = tmp_path_factory.mktemp("seen")
    done = in_two_processes(str(SCRIPT), str(folder))
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_the_first_process_says_what_all_do(seen: list[dict[str, Any]]) -> None:
    assert [one["processes"] for one in seen] == [2, 2]
    assert [one["share"] for one in seen] == [[0, 2, 4], [1, 3]]
    assert [one["from_main"] for one in seen] == [0, 0]
    assert [one["on_main"] for one in seen] == ["of 0"] * 2
    assert [one["calls"] for one in seen] == [[0], []], "one process does the work"


def test_an_error_of_the_first_process_reaches_the_other(seen: list[dict[str, Any]]) -> None:
    assert [one["error"] for one in seen] == [("DataError", "no texts", "add some")] * 2
    assert seen[0]["stubborn"] == ("StubbornError", "cannot be sent", None)
    assert seen[1]["stubborn"] == ("RuntimeError", "StubbornError: cannot be sent", None)
    assert len({one["unsendable"] for one in seen}) == 1, "what cannot be pickled is an error"


def test_what_the_first_process_does_by_itself_waits_for_nobody(
    seen: list[dict[str, Any]],
) -> None:
    assert [one["alone"] for one in seen] == [(1, 7, [1, 2, 3])] * 2


def test_two_processes_learn_what_one_learns(seen: list[dict[str, Any]]) -> None:
    alone, looks = runpy.run_path(str(SCRIPT))["train"]()
    for weights, own_looks in [*(one["trained"] for one in seen), seen[1]["trained_alone"]]:
        assert own_looks == looks
        for name, value in alone.items():
            torch.testing.assert_close(weights[name], value, rtol=1e-9, atol=1e-12)
    for name, value in seen[0]["trained"][0].items():
        assert torch.equal(seen[1]["trained"][0][name], value)


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
        *("speedups=[]", "distill.layers=2", "benchmark.rounds=2", "threads=1"),
        *("stages=[distill, quantize]",),
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
