"""Which rows a benchmark has: every model in every precision, where its runtime has the device."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.subjects import Subject
from compress.errors import UsageError
from compress.evaluation.bench import _in_precisions, _next_steps, _on_devices, _seed_of
from compress.system.program import program
from runtimes.artifact import Manifest, write_artifact

CHECKPOINT = Subject("a", "a", "checkpoint", Path("a"), "pytorch")
EXPORT = Subject("b", "b", "export", Path("b"), "openvino")


def test_precisions_are_of_checkpoints() -> None:
    rows = [
        row for s in (CHECKPOINT, EXPORT) for row in _in_precisions(s, ["fp32", "int8", "fp32"])
    ]
    assert [row.precision for row in rows] == ["fp32", "int8", None]
    assert len({row.id for row in rows}) == 3


def test_the_data_is_cut_as_when_the_artifact_was_chosen(tmp_path: Path) -> None:
    kind = "single_label_classification"
    manifest = Manifest("text-classification", ("a", "b"), kind, 8, 0, type_ids=False, models=())
    for name, metrics in (("older", {}), ("made", {"seed": 3})):
        write_artifact(tmp_path / name, replace(manifest, metrics=metrics), lambda _: None)
    assert _seed_of([tmp_path]) == _seed_of([tmp_path, tmp_path / "older"]) == 0
    assert _seed_of([tmp_path, tmp_path / "made"]) == 3


def test_a_model_runs_where_its_runtime_knows_the_device() -> None:
    rows = _on_devices([CHECKPOINT, EXPORT], ["cpu", "cuda", "npu"])
    assert [(row.runtime, row.device, dict(row.options)) for row in rows] == [
        ("pytorch", "cpu", {}),
        ("openvino", "cpu", {}),
        ("pytorch", "cuda", {}),
        ("pytorch", "cuda", {"graphs": True}),
        ("openvino", "npu", {}),
    ]
    assert len({row.id for row in rows}) == 5
    with pytest.raises(UsageError, match=r"abacus.*cpu, cuda"):
        _on_devices([CHECKPOINT], ["abacus"])


def test_what_to_do_next_is_typed_as_it_stands(tmp_path: Path) -> None:
    model, artifact, export = (tmp_path / name for name in ("bert", "my artifact", "export"))
    for folder, file in ((model, "model.safetensors"), (artifact, "manifest.json"), (export, "x")):
        folder.mkdir()
        (folder / file).touch()

    def typed(*folders: Path, data: object = "my data.csv") -> list[list[str]]:
        named = {str(folder): folder for folder in folders}
        steps = _next_steps("edgepress bench x --out o", named, data, Path("my out"))  # type: ignore[arg-type]
        start = len(program())
        return [shlex.split(step.command)[start:] for step in steps]

    report = ["report", "my out", "--price", "0.05"]
    assert typed(model, artifact)[:2] == [
        ["bench", str(artifact), "--data", "my data.csv", "--tune"],
        report,
    ]
    assert typed(export, model)[0] == [str(model), "--data", "my data.csv", "--max-drop", "1"]
    assert typed(model, artifact, data=[{"text": "in memory"}])[0][0] == "report"
    assert typed(export)[0] == report
    command = list(_next_steps("edgepress bench x --out o", {}, "d", Path("my out")))[-1].command
    assert shlex.split(command) == [
        *("edgepress", "bench", "x", "--out", "o", "--out", "my out-later", "&&"),
        *(*program(), "bench", "--compare", "my out", "my out-later"),
    ]
