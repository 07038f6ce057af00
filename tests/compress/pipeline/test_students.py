"""Runs whose members are cut from another checkpoint than the model."""

import json
from pathlib import Path
from typing import Any

import pytest
from toy_models import save_bert
from transformers import AutoTokenizer, BertForMaskedLM

from compress.cli.app import main
from compress.corpus.corpus import Material
from compress.encoder.importers.registry import import_encoder
from runtimes import load

pytestmark = pytest.mark.slow

BY_LATENCY = [
    "stages=[prune, distill, quantize]",
    "distill.epochs=2",
    "distill.freeze_embeddings=false",
    "distill.augment=1",
    "distill.learning_rate=1e-3",
    "distill.enough=0",
    "prune.neuron_step=8",
    "quantize.calibration_texts=4",
    "quantize.alternatives=false",
    "speedups=[1.05]",
    "beyond=false",
    "threads=1",
    "runtimes=[onnxruntime]",
    "benchmark.rounds=2",
    "benchmark.sentences=5",
    "benchmark.baselines=[]",
    "benchmark.every_runtime=false",
    "benchmark.cold_starts=0",
    "benchmark.throughput=false",
    "benchmark.latency_table_seconds=1",
]


@pytest.fixture
def student(task: Any, tmp_path: Path) -> Path:
    """A general encoder, narrower than the model and without a head for the task."""
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16}
    return save_bert(tmp_path / "general", BertForMaskedLM, tokenizer, **sizes)


def arguments(task: Any, out: Path, *more: str) -> list[str]:
    given = [str(task.model), "--data", str(task.data), "--out", str(out), "--max-drop", "100"]
    return [*given, *BY_LATENCY, *more]


def test_members_are_cut_from_the_student(
    task: Any, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    run = arguments(task, out, "--student", str(student), "student_only=true")
    assert main(run) == 0
    report = json.loads((out / "report.json").read_text())
    family = {entry["name"]: entry for entry in report["family"]}
    assert list(family)[:2] == ["full", "general"]
    assert family["full"]["description"].startswith("3 layers")
    assert family["general"]["description"].startswith("1 layer,")
    stages = [step["stage"] for step in family["general"]["lineage"]]
    assert stages == ["student", "distill", "quantize"]
    assert report["recommended"].startswith("general")  # inside, and faster than the model
    small = import_encoder(out / "checkpoint").model
    assert small.config.hidden_size == 16
    assert load(out / "artifact")("a film")[0]["label"] in small.config.label2id
    assert "It began as general" in (out / "artifact" / "README.md").read_text()
    capfd.readouterr()
    assert main(run) == 0
    assert "general: stage distill: resumed from its checkpoint" in (out / "run.log").read_text()


def test_they_compete_with_the_models_own_layers(
    task: Any, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    assert main(arguments(task, out, "--student", str(student))) == 0
    said = capfd.readouterr().err
    report = json.loads((out / "report.json").read_text())
    names = [entry["name"] for entry in report["family"]]
    distances = {
        line.rpartition(": ")[2].partition(",")[0]: float(line.rpartition("KL ")[2])
        for line in said.splitlines()
        if "contest at" in line
    }
    assert "general" in distances
    won = min(distances, key=lambda name: distances[name]) == "general"
    assert ("general" in names) == won


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--effort", "fast"], "has the task to learn"),
        (["--student", "/nowhere/general"], "/nowhere/general: no such folder"),
    ],
)
def test_what_a_student_cannot_do_is_said_at_once(
    task: Any, student: Path, tmp_path: Path, capfd: Any, more: list[str], said: str
) -> None:
    out = tmp_path / "out"
    run = [str(task.model), "--data", str(task.data), "--out", str(out)]
    assert main([*run, "--student", str(student), *more]) != 0
    assert said in capfd.readouterr().err
    assert not out.exists()


def test_students_of_one_name_keep_their_texts_apart(
    task: Any, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the teacher says stands in a file for each: the second one's must not replace it."""
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 8}
    other = save_bert(tmp_path / "more" / "general", BertForMaskedLM, tokenizer, **sizes)
    folders = []

    def spied(*parts: Any, **given: Any) -> Material:
        folders.append(given["scratch"])
        return Material(*parts, **given)

    monkeypatch.setattr("compress.corpus.corpus.Material", spied)
    out = tmp_path / "out"
    given = ["--student", str(student), "--student", str(other), "student_only=true"]
    assert main(arguments(task, out, *given)) == 0
    assert len(folders) == len(set(folders)) == 3  # the model's own, and one for each
