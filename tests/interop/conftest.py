"""What is opened elsewhere: runs of four tasks on real data, and what our own runner answers."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes import load
from runtimes.artifact import read_manifest
from runtimes.loading import open_checkpoint
from runtimes.manifest import render

SHARED = Path(os.environ.get("EDGEPRESS_SHARED", "../shared"))
TEXTS = 500
# Runs that are there already: a folder a task, of artifact, checkpoint and inputs.json.
RUNS = os.environ.get("EDGEPRESS_RUNS")
# Pruned by shares and not by a table of latencies, nothing trained, and hardly measured.
RECIPE = [
    "stages=[prune, quantize]",
    "speedups=[]",
    "prune.steps=1",
    "prune.heads=0.1",
    "prune.neurons=0.1",
    "quantize.alternatives=false",
    "benchmark.rounds=2",
    "benchmark.sentences=5",
    "benchmark.baselines=[]",
    "benchmark.cold_starts=0",
    "benchmark.throughput=false",
    "benchmark.every_runtime=false",
    "--max-drop",
    "100",
]


@dataclass(frozen=True, eq=False)
class Delivered:
    """A run's result.

    Attributes:
        task: Its task.
        artifact: As the run left it.
        checkpoint: Likewise.
        inputs: Texts, or questions with contexts.
    """

    task: str
    artifact: Path
    checkpoint: Path
    inputs: list[Any]

    def of(self, count: int) -> "Delivered":
        """The same with so few inputs."""
        return replace(self, inputs=self.inputs[:count])

    @cache  # noqa: B019 - as long as the session
    def ours(self, runtime: str) -> list[Any]:
        """Our own runner's top answers on a runtime; on "pytorch" those of the checkpoint, on
        "portable" those of the graph that other libraries open on ONNX Runtime.
        """
        asked = [tuple(each) if isinstance(each, list) else each for each in self.inputs]
        if runtime == "pytorch":
            opened = open_checkpoint(self.checkpoint)
        elif runtime == "portable":
            opened = load(self._portable(), runtime="onnxruntime")
        else:
            opened = load(self.artifact, runtime=runtime)
        with opened as answer:
            if self.task == "sentence-embedding":
                return np.asarray(answer(asked)).tolist()
            if self.task == "text-classification":
                return [found["label"] for found in answer(asked)]
            if self.task == "question-answering":
                return [found["answer"] for found in answer(asked)]
            return [
                [[token["word"], token["entity"]] for token in tokens]
                for tokens in answer(asked, ignore_labels=[])
            ]

    def _portable(self) -> Path:
        """The same artifact, whose manifest names no other graph."""
        folder = self.artifact.with_name(f"{self.artifact.name}-portable")
        if not folder.is_dir():
            shutil.copytree(self.artifact, folder)
            manifest = read_manifest(folder)
            (portable,) = (each for each in manifest.models if each.variant == "portable")
            kept = (replace(portable, variant="padded"),)
            (folder / "manifest.json").write_bytes(render(replace(manifest, models=kept)))
        return folder


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Delivered]:
    """`delivered(task)`: made by the command, once."""
    if not (SHARED / "models").is_dir():
        pytest.skip(f"{SHARED} is missing (set EDGEPRESS_SHARED)")

    @cache
    def make(task: str) -> Delivered:
        if RUNS:
            folder = Path(RUNS) / task
            inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
            return Delivered(task, folder / "artifact", folder / "checkpoint", inputs)
        folder = tmp_path_factory.mktemp(task)
        model, data, inputs = MAKERS[task](folder)
        out = folder / "out"
        _edgepress(str(model), "--data", str(data), "--out", str(out), *RECIPE)
        # The pruned member, whichever of the two was the faster one here.
        artifact, checkpoint = out / "family" / "prune", out / "checkpoints" / "prune"
        if not artifact.is_dir():
            artifact, checkpoint = out / "artifact", out / "checkpoint"
        return Delivered(task, artifact, checkpoint, inputs)

    return make


def _edgepress(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgepress", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _read_csv(name: str) -> list[dict[str, str]]:
    with (SHARED / "data" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _classifier(folder: Path) -> tuple[Path, Path, list[Any]]:
    texts = [row["text"] for row in _read_csv("sst2/validation.csv")[:TEXTS]]
    return SHARED / "models" / "minilm-sst2", SHARED / "data" / "sst2", texts


def _tagger(folder: Path) -> tuple[Path, Path, list[Any]]:
    data, source = folder / "data", SHARED / "data" / "snips-slots"
    data.mkdir()
    for name in ("train.jsonl", "validation.jsonl"):
        shutil.copyfile(source / name, data / name)
    held_out = (data / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [" ".join(json.loads(line)["tokens"]) for line in held_out[:TEXTS]]
    return _trained(folder, "token-classification", data), data, texts


def _reader(folder: Path) -> tuple[Path, Path, list[Any]]:
    data, source = folder / "data", SHARED / "data" / "snips-qa"
    data.mkdir()
    for name in ("train.json", "validation.json"):
        shutil.copyfile(source / name, data / name)
    squad = json.loads((data / "validation.json").read_text(encoding="utf-8"))
    asked = [
        [qa["question"], paragraph["context"]]
        for each in squad["data"]
        for paragraph in each["paragraphs"]
        for qa in paragraph["qas"]
    ]
    return _trained(folder, "question-answering", data), data, asked[:TEXTS]


def _embedder(folder: Path) -> tuple[Path, Path, list[Any]]:
    """The classifier's encoder, as sentence-transformers has one; utterances of an intent are
    alike."""
    from transformers import AutoModel, AutoTokenizer

    source, model = SHARED / "models" / "minilm-sst2", folder / "embedder"
    AutoModel.from_pretrained(source).save_pretrained(model)
    AutoTokenizer.from_pretrained(source).save_pretrained(model)
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    parts = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    (model / "modules.json").write_text(
        json.dumps([{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in parts])
    )
    rows = _read_csv("snips-intent/train.csv")[:800]
    data = folder / "data.csv"
    with data.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("text", "text_pair", "score"))
        for one, other in pairwise(rows):
            table.writerow((one["text"], other["text"], float(one["label"] == other["label"])))
    texts = [row["text"] for row in _read_csv("snips-intent/validation.csv")[:TEXTS]]
    return model, data, texts


MAKERS = {
    "text-classification": _classifier,
    "token-classification": _tagger,
    "question-answering": _reader,
    "sentence-embedding": _embedder,
}


def _trained(folder: Path, task: str, data: Path) -> Path:
    """From the classifier's encoder, on all of the training text: who is in doubt everywhere gives
    another answer for any rounding."""
    base, teacher = SHARED / "models" / "minilm-sst2", folder / "teacher"
    arguments = ["--task", task, "--data", str(data), "--out", str(teacher), "epochs=1"]
    _edgepress("train", str(base), *arguments)
    return teacher
