"""The whole job on a model of a few kilobytes: what it writes, and that it can be stopped."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.render.figures import recommended_mark
from benchmarks.report import Report, load_report
from compress.cli.app import main
from compress.config.recipe import load_recipe
from compress.errors import ModelError
from compress.pipeline import finalize as conclusion
from compress.pipeline import prepare as preparation
from compress.pipeline import run as pipeline
from compress.pipeline.publish import publish
from compress.search.members import Member
from compress.search.selection import Choice
from compress.stages import get_stage
from compress.system.workspace import Workspace
from export.card import in_words
from export.origin import Origin
from runtimes import load
from runtimes.artifact import read_manifest, verify

pytestmark = pytest.mark.slow

QUICK = [
    "distill.epochs=1",
    "distill.augment=1",
    "distill.learning_rate=1e-3",
    "distill.layers=2",
    "distill.enough=0",
    "prune.steps=1",
    "prune.neuron_step=8",
    "quantize.calibration_texts=4",
    "quantize.alternatives=false",
    "stages=[distill, prune, quantize]",
    "speedups=[]",
    "threads=1",
    # Fewer processes and rounds; nothing is faked.
    "benchmark.rounds=2",
    "benchmark.sentences=5",
    "benchmark.cold_starts=1",
]
# No stock exports, one runtime: where the test is not of the table.
ALONE = [
    "benchmark.baselines=[]",
    "runtimes=[onnxruntime]",
    "benchmark.every_runtime=false",
    "benchmark.cold_starts=0",
    "benchmark.throughput=false",
]


@dataclass(frozen=True)
class Done:
    """A finished run."""

    out: Path
    arguments: list[str]
    code: int
    stdout: str
    stderr: str
    calls: list[str]
    home: list[str]
    temporary: list[str]

    def again(self, out: Path, *more: str) -> list[str]:
        """The same command for a copy of the output folder."""
        place = self.arguments.index("--out") + 1
        return [*self.arguments[:place], str(out), *self.arguments[place + 1 :], *more]


@pytest.fixture(scope="module")
def done(task: Any, watched: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Done:
    """All stages, both runtimes, the command as it is typed, in a home folder of its own, and where
    somebody's own modules are called as ours."""
    out = tmp_path_factory.mktemp("run") / "out"
    for name in ("benchmarks", "export"):
        (out.parent / f"{name}.py").write_text("raise SystemExit('another module')\n")
    arguments = [str(task.model), "--data", str(task.data), "--out", str(out), "--max-drop", "9"]
    arguments += [*QUICK, "benchmark.baselines=[onnx-fp32]", "--seed", "1"]
    ran = watched("-m", "edgepress", *arguments, cwd=out.parent)
    kept = (ran.code, ran.output, ran.errors, ran.calls, ran.home, ran.temporary)
    return Done(out, arguments, *kept)


@pytest.fixture
def measured(done: Done, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Measuring is skipped: `done` has shown it, and its rows are called the same."""
    report = load_report(done.out / "report.json")
    monkeypatch.setattr(conclusion, "run_benchmark", lambda *_, **__: report)
    return report


@pytest.fixture
def copy(done: Done, tmp_path: Path) -> Path:
    """A copy of the finished run's folder, to go on in."""
    shutil.copytree(done.out, tmp_path / "out")
    return tmp_path / "out"


def log(out: Path) -> str:
    return (out / "run.log").read_text(encoding="utf-8")


def test_it_succeeds_and_says_where_things_are(done: Done) -> None:
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("=  ")] == ["opinion-bert"]
    member = load_report(done.out / "report.json").recommended.split("-")[0]
    assert [line.split()[1] for line in lines if line.startswith("★  ")] == [f"{member}:"]
    assert f"edgepress predict {done.out / 'artifact'}" in done.stderr
    there = {path.name for path in done.out.iterdir() if not path.name.startswith(".")}
    # The front is drawn where ratios could be measured.
    assert sorted(there - {"pictures"}) == [
        "artifact",
        "checkpoint",
        "checkpoints",
        "family",
        "recipe.yaml",
        "report.csv",
        "report.html",
        "report.json",
        "report.md",
        "run.log",
    ]
    assert not (done.out / ".edgepress" / "scratch").exists()


def test_the_card_says_how_it_was_made_and_what_it_lost(done: Done) -> None:
    report = load_report(done.out / "report.json")
    row = next(row for row in report.rows if row.id == report.recommended)
    card = (done.out / "artifact" / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n", 2)[1])
    (result,) = front["model-index"][0]["results"]
    (metric,) = result["metrics"]
    assert row.metric is not None
    assert metric["value"] == pytest.approx(row.metric.value, abs=0.01)
    assert metric["args"]["n"] == row.metric.n
    assert result["dataset"]["name"] == "opinions"
    assert "\n# Text classification on opinions: worse, better\n" in card
    # Which member is recommended depends on the machine: its own steps, and all of them.
    steps = [line for line in card.splitlines() if line.startswith("1. ")]
    assert steps == [
        f"1. {in_words(step)}" for step in read_manifest(done.out / "artifact").lineage
    ]
    assert steps[-1].startswith("1. It was quantized: ")
    lost = report.differences
    assert f"On {lost.differing} of {lost.items} examples it answers otherwise" in card
    assert "License: opinion-bert states none" in card
    for member in (done.out / "family").iterdir():  # whose answers were not compared
        assert "answers otherwise" not in (member / "README.md").read_text(encoding="utf-8")


def test_the_report_says_what_changed_and_what_the_size_is(done: Done) -> None:
    report = load_report(done.out / "report.json")
    assert report.compared == report.recommended
    assert report.quality.keys() == {report.reference, report.recommended}
    assert report.differences.items == report.data["n"]
    for row in report.sizes:
        parts = {**report.sizes[row], "tokenizer": 0}
        assert sum(parts.values()) == report.row(row).size_bytes
    assert report.reference in report.sizes
    assert len(report.sizes) > 1


def test_what_to_do_next_works_where_the_run_was_started(done: Done, copy: Path) -> None:
    """Each command as it stands, from the folder that somebody else's modules are in, too."""
    steps = load_report(done.out / "report.json").next_steps
    assert len(steps) == 6
    page = (done.out / "report.md").read_text()
    for step in steps:
        assert step.what in page
        assert f"    {step.command}" in page
        if "--tune" in step.command:  # it measures for long
            continue
        typed = step.command.replace(str(done.out), str(copy))
        ran = subprocess.run(
            typed, shell=True, cwd=done.out.parent, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, step.what) == (0, step.what), ran.stderr
        assert ran.stdout


def test_it_sends_nothing_and_leaves_nothing_behind(done: Done) -> None:
    """The run, its benchmark's processes and that of the stock exports, in an empty home folder."""
    assert done.calls == []
    assert done.home == []
    # What it needs for a while is in the output folder, where the next run sweeps it.
    assert done.temporary == []


def test_the_room_that_was_said_beforehand_is_what_it_took(done: Done) -> None:
    """To a factor of 1.5, as promised."""
    [said] = re.findall(r"room: the run takes about ([\d.]+) ([kM])B in the output", log(done.out))
    taken = sum(path.stat().st_size for path in done.out.rglob("*") if path.is_file())
    assert 1 / 1.5 < float(said[0]) * {"k": 1e3, "M": 1e6}[said[1]] / taken < 1.5


def test_the_report_is_format_1(done: Done) -> None:
    report = json.loads((done.out / "report.json").read_text())
    assert report["format"] == 1
    assert {"environment", "reference", "recommended", "rows"} <= set(report)
    assert report["environment"]["cpu"]
    rows = {row["id"]: row for row in report["rows"]}
    assert {"runtime", "device"} <= set(rows[report["reference"]])
    assert report["recommended"] in rows
    for row in rows.values():
        assert row["error"] is None, row
        assert {"id", "model", "runtime", "device", "precision"} <= set(row)
        for timing in ("end_to_end_ms", "model_ms"):
            assert {"p50", "p90", "p99", "n"} <= set(row[timing])
            assert 0 < row[timing]["p50"] <= row[timing]["p90"] <= row[timing]["p99"]
        assert {"name", "value", "low", "high", "n"} <= set(row["metric"])
        assert {"value", "low", "high"} <= set(row["drop"])
        assert {"value", "low", "high"} <= set(row["speedup"])
        assert 0 <= row["metric"]["low"] <= row["metric"]["value"] <= row["metric"]["high"] <= 100
        for figure in ("size_bytes", "load_ms", "rss_bytes"):
            assert row[figure] > 0
    reference = rows[report["reference"]]
    assert (reference["runtime"], reference["precision"]) == ("pytorch", "fp32")
    assert (reference["drop"]["value"], reference["speedup"]["value"]) == (0, 1)
    assert rows[report["recommended"]]["precision"] == "int8"


def test_the_table_has_the_original_the_rival_the_family_and_all_runtimes(done: Done) -> None:
    report = json.loads((done.out / "report.json").read_text())
    ids = [row["id"] for row in report["rows"]]
    member, runtime = report["recommended"].split("-")
    assert ids[:2] == ["pytorch-fp32", "stock-onnx-fp32"]
    assert {f"{name}-{runtime}" for name in ("full", "distill", "prune")} <= set(ids)
    assert {f"{member}-{r}" for r in ("onnxruntime", "openvino", "pytorch")} <= set(ids)
    assert report["budget"] == {
        "max_drop": 9.0,
        "target_latency_ms": None,
        "confidence": 0.7,
        "effort": "balanced",
    }
    assert report["data"]["seed"] == 1
    assert read_manifest(done.out / "artifact").metrics["seed"] == 1
    assert report["data"]["splits"] == {"train": 360, "selection": 120, "report": 120}
    assert report["crossed"] is None  # the test split is reported on
    assert "was chosen: " in report["decisions"][-1]
    assert [entry["name"] for entry in report["family"]] == ["full", "distill", "prune"]
    stages = [step["stage"] for step in report["family"][2]["lineage"]]
    assert stages == ["distill", "prune", "quantize"]
    assert shlex.split(report["command"])[-len(done.arguments) :] == done.arguments
    assert "--seed 1" in report["command"]


def test_the_artifact_and_the_family_are_whole(done: Done, task: Any) -> None:
    report = json.loads((done.out / "report.json").read_text())
    member = report["recommended"].split("-")[0]
    others = {"full", "distill", "prune"} - {member}
    assert {path.name for path in (done.out / "family").iterdir()} == others
    for folder in [done.out / "artifact", *(done.out / "family").iterdir()]:
        manifest = read_manifest(folder)
        verify(folder, manifest)
        card = (folder / "README.md").read_text()
        front = yaml.safe_load(card.split("---\n")[1])
        assert front["model-index"][0]["results"][0]["dataset"]["name"] == "opinions"
    rows = read_manifest(done.out / "artifact").metrics["rows"]
    assert {row["id"].split("-")[0] for row in rows} == {member}
    with load(done.out / "artifact") as classify:
        texts = [text for text, _ in task.make_rows(40, seed=9)]
        labels = [label for _, label in task.make_rows(40, seed=9)]
        right = [a["label"] == label for a, label in zip(classify(texts), labels, strict=True)]
    assert sum(right) >= 34


def test_each_member_is_there_in_pytorch(done: Done, task: Any) -> None:
    from transformers import pipeline

    report = load_report(done.out / "report.json")
    member = str(report.recommended).split("-")[0]
    for entry in report.family:
        found = entry["checkpoint"]
        name = entry["name"]
        assert found["path"] == ("checkpoint" if name == member else f"checkpoints/{name}")
        assert (found["opens_as"], found["reason"]) == ("BertForSequenceClassification", "")
        assert found["max_abs_delta"] < 1e-4
    classify = pipeline("text-classification", model=str(done.out / "checkpoint"))
    texts, labels = zip(*task.make_rows(40, seed=9), strict=True)
    found = [answer["label"] for answer in classify(list(texts))]
    assert sum(a == label for a, label in zip(found, labels, strict=True)) >= 34


def test_report_recipe_and_log_can_be_read(done: Done) -> None:
    text = (done.out / "report.md").read_text()
    assert "opinion-bert" in text
    assert "edgepress " in text
    recipe = load_recipe(done.out / "recipe.yaml")
    assert (recipe.seed, recipe.max_drop, recipe.distill.epochs) == (1, 9.0, 1.0)
    assert recipe.benchmark.baselines == ("onnx-fp32",)
    given = [*QUICK, "benchmark.baselines=[onnx-fp32]"]
    assert recipe == load_recipe(None, given, {"seed": 1, "max_drop": 9.0})
    lines = log(done.out)
    stages = ("stage distill starts", "stage prune: {", "export full: {")
    for words in ("run: ", " -m edgepress ", *stages, " was chosen: ", "done"):
        assert words in lines


def test_inspect_reads_what_a_run_wrote(done: Done, capfd: Any) -> None:
    report = load_report(done.out / "report.json")
    assert main(["inspect", str(done.out)]) == 0
    assert recommended_mark(report) in capfd.readouterr().out
    assert main(["inspect", str(done.out / "checkpoint")]) == 0
    shown = capfd.readouterr().out
    assert "opens as    BertForSequenceClassification; answers like the exported model" in shown
    assert re.search(r"made by     edgepress .*: 2 layers, \d+ heads, .*quantize\n", shown)
    assert main(["inspect", str(done.out / "artifact")]) == 0
    shown = capfd.readouterr().out
    rows = [report.row(row["id"]) for row in read_manifest(done.out / "artifact").metrics["rows"]]
    sure = [row for row in rows if row.sure_speedup is not None]  # a busy machine: none, or one
    assert rows
    assert shown.count("measured    ") == len(rows)
    assert shown.count("times as fast") == len(sure)


def test_what_a_run_keeps_can_be_removed(copy: Path, capfd: Any) -> None:
    before = {path for path in copy.rglob("*") if path.is_file()}
    assert main(["clean", str(copy)]) == 0
    written = capfd.readouterr()
    assert "can be removed" in written.out
    assert "encoders" in written.out
    assert f"edgepress clean {copy} --yes" in written.err
    assert {path for path in copy.rglob("*") if path.is_file()} == before
    assert main(["clean", str(copy), "--yes"]) == 0
    left = {path.name for path in (copy / ".edgepress").iterdir()}
    assert left <= {"run.json", "lock"}
    assert {path for path in before if ".edgepress" not in path.parts} == {
        path for path in copy.rglob("*") if path.is_file() and ".edgepress" not in path.parts
    }
    verify(copy / "artifact", read_manifest(copy / "artifact"))
    assert load(copy / "artifact")("a good film")
    Workspace(copy).create()  # it is still a run's


@pytest.mark.slow
def test_fast_exports_the_unpruned_model_only_where_the_pruned_one_loses_too_much(
    task: Any, tmp_path: Path
) -> None:
    arguments = [str(task.model), "--data", str(task.data), "--out", str(tmp_path), "--quiet"]
    arguments += ["--effort", "fast", "--runtimes", "onnxruntime", "benchmark.baselines=[]"]
    arguments += ["benchmark.rounds=2", "benchmark.sentences=5", "benchmark.cold_starts=0"]
    arguments += ["prune.layers=2", "prune.heads=0.9", "prune.neurons=0.95"]
    family = {}
    for budget in ("99", "0"):
        assert main([*arguments, "--max-drop", budget]) in (0, 4)
        report = json.loads((tmp_path / "report.json").read_text())
        family[budget] = [entry["name"] for entry in report["family"]]
    assert family == {"99": ["prune"], "0": ["full", "prune"]}
    assert report["recommended"] in (None, "full-onnxruntime")


def test_a_rerun_resumes_and_a_budget_that_nothing_meets_exits_4(
    done: Done, copy: Path, measured: Report, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """One rerun for both: nothing is computed again, and the decision is replaced."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("this was done already")

    for name in ("distill", "prune"):
        monkeypatch.setattr(type(get_stage(name)), "apply", never)
    monkeypatch.setattr("export.package.export_artifact", never)
    monkeypatch.setattr("compress.evaluation.baselines.start_module", never)
    monkeypatch.setattr(conclusion, "choose", lambda *_, **__: Choice(None, ("None is good.",)))
    (copy / "artifact" / "manifest.json").write_text("damaged meanwhile")
    assert main(done.again(copy)) == 4
    captured = capfd.readouterr()
    assert "error: no candidate stays within 9 points; the report is in" in captured.err
    assert "--max-drop" in captured.err
    assert "opinion-bert" in captured.out  # the table is shown all the same
    assert log(copy).count("resumed from its checkpoint") == 2
    assert log(copy).count("stage distill starts") == 1
    report = json.loads((copy / "report.json").read_text())
    assert report["recommended"] is None
    assert report["decisions"][-1] == "None is good."
    assert not (copy / "artifact").exists()
    assert not (copy / "checkpoint").exists()
    assert {path.name for path in (copy / "checkpoints").iterdir()} == {"full", "distill", "prune"}
    assert {path.name for path in (copy / "family").iterdir()} == {"full", "distill", "prune"}


@pytest.mark.parametrize("place", ["load_splits", "export_member", "run_benchmark", "publish"])
def test_ctrl_c_anywhere_leaves_the_earlier_result(
    place: str,
    done: Done,
    copy: Path,
    measured: Report,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    where = preparation if place == "load_splits" else conclusion
    monkeypatch.setattr(where, place, stop)
    assert main(done.again(copy)) == 130
    assert "the same command goes on from the last finished stage" in capfd.readouterr().err
    verify(copy / "artifact", read_manifest(copy / "artifact"))
    assert (copy / "report.json").read_bytes() == (done.out / "report.json").read_bytes()
    if place != "load_splits":
        assert "stopped: Ctrl-C" in log(copy)


def test_another_seed_or_model_is_not_resumed(
    done: Done, copy: Path, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BeganError(Exception):
        pass

    def began(*_: Any, **__: Any) -> None:
        raise BeganError

    monkeypatch.setattr(type(get_stage("distill")), "apply", began)
    for change in (["--seed", "2"], ["distill.epochs=2"], ["max_length=20"]):
        with pytest.raises(BeganError):
            main(done.again(copy, *change))


def test_a_folder_of_other_data_or_of_a_run_at_work_is_refused(
    done: Done, copy: Path, task: Any, tmp_path: Path, capfd: Any
) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    others = task.write_csv(tmp_path / "others.csv", task.make_rows(100, seed=9))
    before = files()
    place = done.arguments.index("--data") + 1
    other = [*done.arguments[:place], str(others), *done.arguments[place + 1 :]]
    assert main(replace(done, arguments=other).again(copy)) == 2
    said = capfd.readouterr().err
    assert f"data {task.data} instead of {others}" in said
    assert "--overwrite" in said
    assert files() == before
    with Workspace(copy) as at_work:
        at_work.create()
        assert main(done.again(copy, "--overwrite")) == 2
    assert "another run works on" in capfd.readouterr().err


# A process started in the background of a script ignores SIGINT: the handler is set again.
KILLED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from compress.stages import get_stage
stage = get_stage({stage!r})
{how}
from compress.cli.app import main
sys.exit(main({arguments!r}))
"""
IN_THE_MIDDLE = """
import compress.training.loop
step = compress.training.loop.torch.optim.AdamW.step
count = 0
def counted(*a, **k):
    global count
    count += 1
    if count == 5:
        os.kill(os.getpid(), signal.{signal})
    return step(*a, **k)
compress.training.loop.torch.optim.AdamW.step = counted
"""


@pytest.mark.parametrize(("name", "code"), [("SIGKILL", -signal.SIGKILL), ("SIGINT", 130)])
def test_killed_in_the_middle_of_a_stage_it_goes_on(
    name: str,
    code: int,
    task: Any,
    measured: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    arguments = [str(task.model), "--data", str(task.data), "--out", str(out), *QUICK]
    arguments += ["stages=[prune, distill]", "benchmark.baselines=[]", "--max-drop=100"]
    script = KILLED.format(
        stage="distill", how=IN_THE_MIDDLE.format(signal=name), arguments=arguments
    )
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert died.returncode == code, died.stderr
    if name == "SIGINT":
        assert died.stderr.strip().endswith("goes on from the last finished stage")
    assert "stage prune: {" in log(out)
    assert "stage distill: {" not in log(out)
    assert not (out / "report.json").exists()
    if name == "SIGINT":
        return  # what is left is the same; once is enough to finish it
    assert main(arguments) == 0
    assert log(out).count("stage prune starts") == 1
    assert "stage prune: resumed" in log(out)
    assert "stage distill: {" in log(out)
    verify(out / "artifact", read_manifest(out / "artifact"))
    assert not list((out / ".edgepress").rglob("*.partial"))


def test_a_family_without_importer_is_exported_as_it_is(
    task: Any, tmp_path: Path, capfd: Any
) -> None:
    import torch
    from transformers import RemBertConfig, RemBertForSequenceClassification

    torch.manual_seed(0)
    model = tmp_path / "rembert"
    shutil.copytree(task.model, model)
    (model / "model.safetensors").unlink()
    config = RemBertConfig(
        vocab_size=len(task.vocabulary),
        pad_token_id=0,
        input_embedding_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
        initializer_range=0.5,
        id2label={0: "worse", 1: "better"},
        label2id={"worse": 0, "better": 1},
    )
    RemBertForSequenceClassification(config).save_pretrained(model)
    out = tmp_path / "out"
    arguments = [str(model), "--data", str(task.data), "--out", str(out), "--max-drop", "50"]
    assert (
        main([*arguments, *QUICK, *ALONE, "runtimes=null", "benchmark.runtimes=[onnxruntime]"]) == 0
    )
    captured = capfd.readouterr()
    remark = "no importer for architecture 'rembert'"
    assert remark in " ".join((captured.out + captured.err).split())
    assert remark in (out / "report.md").read_text()
    assert remark in log(out)
    manifest = read_manifest(out / "artifact")
    verify(out / "artifact", manifest)
    assert manifest.labels == ("worse", "better")
    assert [row["id"] for row in manifest.metrics["rows"]] == ["stock-onnxruntime"]

    # the rivals' rows are called stock-... as well, and are no rows of the artifact
    report = load_report(out / "report.json")
    rival = replace(report.row("stock-onnxruntime"), id="stock-onnx-fp32")
    with_rival = replace(report, rows=(*report.rows, rival))
    member = Member("stock", "as it is", "key", (), out / "artifact", None)
    workspace = Workspace(tmp_path / "again")
    workspace.create()
    publish(with_rival, [member], member, workspace, Origin("rembert"), "opinions")
    again = read_manifest(workspace.artifact)
    assert [row["id"] for row in again.metrics["rows"]] == ["stock-onnxruntime"]


def test_a_reference_that_cannot_run_is_the_error(
    done: Done, copy: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    from benchmarks.client import SubjectError, Worker

    opened = Worker.open

    def fail(self: Worker) -> Any:
        if self.id == "pytorch-fp32":
            raise SubjectError("its process was killed (SIGKILL), often for want of memory")
        return opened(self)

    monkeypatch.setattr(Worker, "open", fail)
    assert main(done.again(copy, *ALONE)) == 1
    assert "the reference opinion-bert (original) cannot be measured" in capfd.readouterr().err
    verify(copy / "artifact", read_manifest(copy / "artifact"))


def test_labels_in_another_order_are_told_of_before_the_work(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    swapped = dict(zip(task.labels, task.labels[::-1], strict=True))
    rows = [(text, swapped[label]) for text, label in task.make_rows(200, seed=5)]
    data = task.write_csv(tmp_path / "swapped.csv", rows)

    def stop(*_: Any) -> Any:
        raise ModelError("the work begins")

    monkeypatch.setattr(pipeline, "_family", stop)
    assert main([str(task.model), "--data", str(data), "--out", str(tmp_path / "out")]) == 1
    said = capfd.readouterr().err
    assert said.index("Its classes seem to be in another order") < said.index("the work begins")


def test_without_a_test_split_all_held_out_text_chooses_and_the_drop_is_cross_fitted(
    task: Any, tmp_path: Path, capfd: Any
) -> None:
    data, out = tmp_path / "opinions", tmp_path / "out"
    shutil.copytree(task.data, data, ignore=shutil.ignore_patterns("test.csv"))
    arguments = [str(task.model), "--data", str(data), "--out", str(out), "--max-drop", "50"]
    assert main([*arguments, *QUICK, *ALONE, "stages=[prune, quantize]", "prune.heads=0.5"]) == 0
    report = load_report(out / "report.json")
    assert report.data["splits"] == {"train": 360, "held_out": 120}
    assert report.crossed is not None
    assert (report.crossed.n, report.crossed.choices, report.crossed.none) == (120, 100, 0)
    assert report.crossed.low <= report.crossed.value <= report.crossed.high
    row = report.row(str(report.recommended))
    assert row.metric is not None
    assert row.metric.n == 120
    metrics = read_manifest(out / "artifact").metrics
    assert metrics["crossed"] == json.loads((out / "report.json").read_text())["crossed"]
    assert "which also chose it" in (out / "artifact" / "README.md").read_text()
    assert "in cross-fitting" in (out / "report.md").read_text()
    assert "all of validation (120) chooses and reports" in (out / "report.md").read_text()


def test_a_family_by_latency_with_unlabelled_text_and_other_schemes(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    more = tmp_path / "more.txt"
    more.write_text("the cast is lovely\nvery dull and poor\n", encoding="utf-8")
    out = tmp_path / "out"
    arguments = [str(task.model), "--data", str(task.data), "--out", str(out), "--max-drop", "50"]
    arguments += ["--unlabelled", str(more), *QUICK, *ALONE, "stages=[prune, distill, quantize]"]
    # nothing of this architecture is a thousand times as fast
    arguments += ["speedups=[1.05, 1000]", "distill.layers=null", "distill.enough=0"]
    arguments += ["quantize.alternatives=true", "benchmark.latency_table_seconds=1"]
    assert main(arguments) == 0
    assert len(list((tmp_path / "cache" / "latency").iterdir())) == 1
    report = json.loads((out / "report.json").read_text())
    names = [entry["name"] for entry in report["family"]]
    assert names[:2] == ["full", "x1.05"]
    small = report["family"][1]
    assert [step["stage"] for step in small["lineage"]] == ["prune", "distill", "quantize"]
    assert small["lineage"][0]["predicted_ms"] <= small["lineage"][0]["target_ms"]
    assert small["lineage"][1]["texts"] == 2 * (360 + 2)  # each with one generated text
    decisions = " ".join(report["decisions"])
    assert "-static" in decisions
    assert "-float" in decisions
    assert "x1e+03 left out: no model of this architecture" in log(out)
    manifest = read_manifest(out / "artifact")
    verify(out / "artifact", manifest)
    assert {model.runtime for model in manifest.models} == {"onnxruntime"}  # as the recipe has it
    assert not (out / "artifact" / "openvino").exists()
    capfd.readouterr()
    target = ["--target-latency", "1000", "quantize.alternatives=false"]
    assert main([*arguments, *target]) == 0
    again = json.loads((out / "report.json").read_text())
    assert "loses least within 1000 ms" in " ".join(again["decisions"])
