"""Two processes train and distil together, on the CPU, to what one comes to by itself."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        torch.accelerator.is_available(), reason="by itself this process would train on a GPU"
    ),
]

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("two_processes.py")
WEIGHTS = "model.safetensors"

T = TypeVar("T")


@pytest.fixture(scope="module")
def folder(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder without dropout, whose random numbers differ with the batches, and texts."""
    folder = tmp_path_factory.mktemp("two")
    task.save_bert(folder / "base", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    (folder / "opinions").symlink_to(task.data)
    rows = task.make_rows(337 + 128 + 80, seed=5)
    # Of 337 documents 17 are held out.
    (folder / "text.txt").write_text("\n\n".join(sentence for sentence, _ in rows[:337]))
    for name, part in (
        ("train", rows[337:-80]),
        ("validation", rows[-80:-40]),
        ("test", rows[-40:]),
    ):
        task.write_csv(folder / "even" / f"{name}.csv", part)
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path) -> list[dict[str, Any]]:
    """What each of two processes saw of `two_processes.py`."""
    # What `accelerate launch` does for GPUs; for CPUs it wants MPI.
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", "0", "--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
    command += [str(SCRIPT), str(folder)]
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What this process, by itself, sees of the same."""
    own = tmp_path_factory.mktemp("alone")
    for name in ("base", "even", "text.txt"):
        (own / name).symlink_to(folder / name)
    script = runpy.run_path(str(SCRIPT))
    return {
        "folder": own,
        "trained": script["train"](),
        "fine-tuned": script["fine_tune"](own, "whole"),
        "pretrained": script["pretrain"](own, "pretrained"),
        "distilled": script["distil"](own),
    }


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


def test_two_processes_learn_what_one_learns(
    seen: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    weights, looks = alone["trained"]
    for own, own_looks in [*(one["trained"] for one in seen), seen[1]["trained_alone"]]:
        assert own_looks == looks
        for name, value in weights.items():
            torch.testing.assert_close(own[name], value, rtol=1e-9, atol=1e-12)
    for name, value in seen[0]["trained"][0].items():
        assert torch.equal(seen[1]["trained"][0][name], value)


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return the largest difference of any weight.

    Left out are the biases of keys: softmax takes no notice of them, so their gradients are
    nothing but rounding, which Adam makes as large as any other.
    """
    assert one.keys() == other.keys()
    distances = {name: (one[name] - other[name]).abs() for name in one if "key.bias" not in name}
    for name, distance in distances.items():
        if name.endswith("qkv.bias"):
            distance.chunk(3)[1].zero_()
    return max(float(distance.max()) for distance in distances.values())


def together(parts: Iterable[list[T]]) -> list[T]:
    return list(chain.from_iterable(parts))


def step_texts(runs: list[dict[str, Any]], batches: int) -> list[list[tuple[int, ...]]]:
    """Return, by step, the token ids of all texts of it, sorted; of `batches` in each process."""
    taken = [together(parts) for parts in zip(*(run["batches"] for run in runs), strict=True)]
    return [sorted(together(taken[i : i + batches])) for i in range(0, len(taken), batches)]


# Sums of float32 in another order, through 6 to 10 steps of Adam at a rate of 1e-3.
ROUNDING = 1e-6


def test_two_processes_fine_tune_to_the_weights_of_one(
    seen: list[dict[str, Any]], alone: dict[str, Any], folder: Path
) -> None:
    assert [one["fine-tuned"]["code"] for one in (*seen, alone)] == [0] * 3
    texts = step_texts([alone["fine-tuned"]], 1)
    assert len(texts) == 2 * 128 // 32
    assert step_texts([one["fine-tuned"] for one in seen], 1) == texts
    assert sorted(together(texts[:4])) == sorted(together(texts[4:])), "all texts, each epoch"
    ours, theirs = (load_file(of / "whole" / WEIGHTS) for of in (folder, alone["folder"]))
    assert difference(ours, theirs) < ROUNDING
    assert difference(ours, load_file(folder / "base" / WEIGHTS)) > 1000 * ROUNDING


def test_two_processes_go_on_where_they_were_stopped(
    seen: list[dict[str, Any]], folder: Path
) -> None:
    assert [one["interrupted"]["code"] for one in seen] == [130] * 2
    whole = [one["by length"]["batches"] for one in seen]
    assert [one["resumed"]["batches"] for one in seen] == [own[6:] for own in whole]
    weights = [(folder / name / WEIGHTS).read_bytes() for name in ("by-length", "parts")]
    assert weights[0] == weights[1]


def test_batches_by_length_hold_each_text_once_an_epoch(seen: list[dict[str, Any]]) -> None:
    texts = step_texts([one["by length"] for one in seen], 1)
    first, second = (together(texts[i : i + 4]) for i in (0, 4))
    assert sorted(first) == sorted(second) == sorted(set(first))
    assert texts[:4] != texts[4:], "each epoch has an order of its own"

    def padding(batches: Any) -> int:
        return sum(len(batch) * max(map(len, batch)) - sum(map(len, batch)) for batch in batches)

    grouped = together(one["by length"]["batches"] for one in seen)
    any_order = np.random.default_rng(0).permutation(len(flat := together(grouped)))
    size = len(grouped[0])
    drawn = [[flat[i] for i in part] for part in np.split(any_order, range(size, len(flat), size))]
    assert padding(grouped) < 0.5 * padding(drawn)


def test_two_processes_pretrain_to_the_weights_of_one(
    seen: list[dict[str, Any]], alone: dict[str, Any], folder: Path
) -> None:
    assert [one["pretrained"]["code"] for one in (*seen, alone)] == [0] * 3
    texts = step_texts([alone["pretrained"]], 4)
    assert len(texts) == 2 * 320 // 64
    assert step_texts([one["pretrained"] for one in seen], 2) == texts
    ours, theirs = (load_file(of / "pretrained" / WEIGHTS) for of in (folder, alone["folder"]))
    assert difference(ours, theirs) < ROUNDING
    said = [one["pretrained"]["err"].count("note: ") for one in seen]
    assert said == [1, 0], "one process tells of the new head"
    history = json.loads((folder / "pretrained" / "training.json").read_text())["history"]
    looks = [entry for entry in history if "eval_loss" in entry]
    assert looks
    for entry in looks:
        assert entry["eval_loss"] == pytest.approx(entry["eval_masked_loss"], rel=0.2)


def test_two_processes_distil_to_the_weights_of_one(
    seen: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    weights, steps = alone["distilled"]
    assert steps == 2 * 96 // 32
    for own, own_steps in (one["distilled"] for one in seen):
        assert own_steps == steps
        assert difference(own, weights) < ROUNDING


def test_two_processes_train_and_compress(seen: list[dict[str, Any]], folder: Path) -> None:
    for one in seen:
        assert [done["code"] for done in one["compressed"]] == [0, 0], one["compressed"]
    record = json.loads((folder / "teacher" / "training.json").read_text())
    assert record["metric"]["value"] > 90
    said = [one["compressed"][0]["out"].count("accuracy") for one in seen]
    assert said == [1, 0], "one process tells of it"
    steps = max(entry["step"] for entry in record["history"])
    assert steps == 6 * -(-360 // 32), "16 examples of each of the two make a step"
    looks = sum("eval_accuracy" in entry for entry in record["history"])
    assert looks == 6 * 2, "two an epoch"

    report = json.loads((folder / "out" / "report.json").read_text())
    lineages = {member["name"]: member["lineage"] for member in report["family"]}
    [distilled] = [entry for entry in lineages["distill"] if entry["stage"] == "distill"]
    assert distilled["guide_accuracy"] > 80
    assert report["recommended"] is not None
    assert not (folder / "out" / ".edgepress" / "scratch").exists()
