"""The command: bad input gets a sentence, the next step and an exit code; nothing is written."""

import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_hub import FakeHub, fake_hub

from benchmarks.report import Report, Row
from compress.cli import app as cli
from compress.cli.app import main
from compress.system.program import program

# What a case gets: the task, an empty folder of its own, and the output folder. It returns the
# command line.
Case = Callable[[Any, Path, Path], list[str]]


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def run(
    task: Any, out: Path, *more: str, model: Path | str = "", data: Path | str = ""
) -> list[str]:
    return [str(model or task.model), "--data", str(data or task.data), "--out", str(out), *more]


def pickled(task: Any, folder: Path, out: Path) -> list[str]:
    model = copied(task.model, folder / "old")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    return run(task, out, model=model)


def truncated(task: Any, folder: Path, out: Path) -> list[str]:
    model = copied(task.model, folder / "torn")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    return run(task, out, model=model)


def without_head(task: Any, folder: Path, out: Path) -> list[str]:
    from transformers import AutoModel

    model = copied(task.model, folder / "base")
    AutoModel.from_pretrained(task.model).save_pretrained(model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(
        json.dumps({**config, "id2label": {0: "worse", 1: "better"}})
    )
    return run(task, out, model=model)


def unknown_family_without_head(task: Any, folder: Path, out: Path) -> list[str]:
    from transformers import RemBertConfig, RemBertModel

    model = copied(task.model, folder / "rembert")
    config = RemBertConfig(
        vocab_size=60, hidden_size=8, num_attention_heads=2, intermediate_size=8,
        id2label={0: "worse", 1: "better"},
    )  # fmt: skip
    RemBertModel(config).save_pretrained(model)
    return run(task, out, model=model)


def config_only(content: str) -> Case:
    def case(task: Any, folder: Path, out: Path) -> list[str]:
        (folder / "model").mkdir()
        (folder / "model" / "config.json").write_text(content)
        return run(task, out, model=folder / "model")

    return case


def data_file(name: str, content: bytes) -> Case:
    def case(task: Any, folder: Path, out: Path) -> list[str]:
        (folder / name).write_bytes(content)
        return run(task, out, data=folder / name)

    return case


def options(*more: str) -> Case:
    return lambda task, folder, out: run(task, out, *more)


def recipe(content: str) -> Case:
    def case(task: Any, folder: Path, out: Path) -> list[str]:
        (folder / "mine.yaml").write_text(content)
        return run(task, out, "--recipe", str(folder / "mine.yaml"))

    return case


ROWS = b"".join(b"a good film,better\na bad film,worse\n" for _ in range(40))

# What is wrong -> (command line, exit code, words on stderr)
RUNS: dict[str, tuple[Case, int, list[str]]] = {
    "no such model": (
        lambda t, f, o: run(t, o, model=f"{t.model}x"),
        1, ["opinion-bertx: no such folder", "Did you mean", "opinion-bert?"],
    ),
    "no such model, and it looks like a hub id": (
        lambda t, f, o: run(t, o, model="somebody/opinion"),
        1, ["somebody/opinion: neither a folder here nor", "pass a checkpoint folder"],
    ),
    "the model is a file": (
        lambda t, f, o: run(t, o, model=t.model / "config.json"), 1, ["config.json is a file"],
    ),
    "a folder that is no checkpoint": (
        lambda t, f, o: run(t, o, model=t.data),
        1, ["is not a checkpoint: it has no config.json", "save_pretrained"],
    ),
    "a config that is no JSON": (config_only("{nope"), 1, ["config.json is not readable as JSON"]),
    "a config that is a list": (config_only("[]"), 1, ["config.json holds no JSON object"]),
    "a config without a family": (config_only("{}"), 1, ["has no model_type"]),
    "no weights": (config_only('{"model_type": "bert"}'), 1, ["no weights (model.safetensors)"]),
    "a pickle-only checkpoint": (
        pickled, 1, ["only pickled weights (pytorch_model.bin)", "convert it: python -c"],
    ),
    "torn weights": (truncated, 1, ["torn: cannot be loaded"]),
    "a model without a classifier": (without_head, 1, ["not fine-tuned for text-classification"]),
    "the same of a family without importer": (
        unknown_family_without_head, 1, ["not fine-tuned for text-classification"],
    ),
    "no data": (
        lambda t, f, o: [str(t.model), "--out", str(o)], 2, ["--data is missing", "try: edgepress"],
    ),
    "data without its option": (
        lambda t, f, o: [str(t.model), str(t.data)],
        2, ["stands where KEY=VALUE may stand", "did you mean: edgepress", "--data"],
    ),
    "no such data": (
        lambda t, f, o: run(t, o, data=f"{t.data}/tran.csv"),
        1, ["No such file or folder", "tran.csv", "Did you mean", "train.csv?"],
    ),
    "data that look like a hub id": (
        lambda t, f, o: run(t, o, data="somebody/films"),
        1, ["'somebody/films' is no file or folder here", "pass a local file"],
    ),
    "an empty folder of data": (
        lambda t, f, o: run(t, o, data=f), 1, ["no data files here (the folder is empty)"],
    ),
    "a missing text column": (
        data_file("a.csv", b"label\n" + b"better\nworse\n" * 40), 1, ["a.csv", "--text-column"],
    ),
    "a named column that is missing": (
        options("--label-column", "mood"), 1, ["'mood'", "text, label"],
    ),
    "a missing label column": (
        data_file("a.csv", b"text,y\n" + ROWS), 1, ["a.csv", "text, y", "--label-column"],
    ),
    "labels that do not match": (
        data_file("a.csv", b"text,label\n" + ROWS.replace(b"better", b"yes")),
        1, ["a.csv", "worse, yes", "worse, better"],
    ),
    "an empty file": (data_file("a.csv", b""), 1, ["a.csv: the file is empty"]),
    "a header alone": (data_file("a.csv", b"text,label\n"), 1, ["a.csv"]),
    "a file that is not UTF-8": (
        data_file("a.csv", b"text,label\n" + ROWS + b"caf\xe9,better\n"),
        1, ["a.csv: not UTF-8: byte 0xe9 at offset", "(line 82)", "iconv"],
    ),
    "an unknown extension": (data_file("a.xlsx", b"x"), 1, ["a.xlsx", "'.xlsx'", ".csv"]),
    "too little data": (data_file("a.csv", b"text,label\na,better\nb,worse\n"), 1, ["a.csv"]),
    "an unknown recipe key": (
        options("distill.epoch=1"), 2, ["no key 'distill.epoch'", "did you mean 'distill.epochs'?"],
    ),
    "an unknown key in a recipe file": (
        recipe("destill: {}\n"), 2, ["no key 'destill'", "did you mean 'distill'?"],
    ),
    "a recipe file that is not there": (
        options("--recipe", "nowhere.yaml"), 2, ["nowhere.yaml cannot be read"],
    ),
    "a value that does not fit": (
        options("distill.epochs=many"), 2, ["'distill.epochs'", "'many'"],
    ),
    "an infinite budget": (options("--max-drop", "inf"), 2, ["'max_drop'", "finite"]),
    "an override without =": (
        options("distill.epochs"), 2, ["'distill.epochs' is no override", "key=value"],
    ),
    "an unknown effort": (options("--effort", "quick"), 2, ["'quick'", "fast, balanced, best"]),
    "a stage that does not exist": (
        options("--stages", "distill,prun"), 2, ["there is no stage 'prun'", "Did you mean prune?"],
    ),
    "the same by an override": (
        options("stages=[prun]"), 2, ["'stages'", "'prun'", "did you mean 'prune'?"],
    ),
    "a stage whose settings do not fit the model": (
        options("distill.layers=9"), 2, ["distill.layers=9", "has 3 layers"],
    ),
    "layers of a student whose speed-ups choose them": (
        options("distill.layers=2"), 2, ["distill.layers=2", "add speedups=[]"],
    ),
    "a runtime that nothing is exported for": (
        options("runtimes=[openvin]"), 2, ["'runtimes'", "did you mean 'openvino'?"],
    ),
    "a runtime that is to compete and has no files": (
        options("runtimes=[onnxruntime]", "benchmark.runtimes=[openvino]"), 2,
        ["benchmark.runtimes names openvino", "runtimes are onnxruntime"],
    ),
    "a runtime that artifacts have no file for": (
        options("benchmark.runtimes=[tflite]"), 2, ["'tflite' does not run artifacts", "openvino"],
    ),
    "a linear layer that does not exist": (
        options("quantize.float_layers=[layers.7.x]"),
        2, ["'layers.7.x'", "layers.0.attention.qkv"],
    ),
    "more tokens than the model takes": (
        options("max_length=41"), 2, ["max_length=41", "40 positions"],
    ),
    "an unknown option": (
        options("--max-dorp", "1"), 2, ["No such option: --max-dorp", "--max-drop"],
    ),
    "a number that is none": (options("--seed", "x"), 2, ["--seed", "edgepress run --help"]),
    "no model": (lambda t, f, o: ["run"], 2, ["Missing argument", "edgepress run --help"]),
    "a misspelt command": (
        lambda t, f, o: ["prdict"], 2, ["no command 'prdict'", "did you mean: edgepress predict"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("case", "code", "words"), RUNS.values(), ids=RUNS)
def test_bad_input_is_named_and_nothing_is_written(
    case: Case,
    code: int,
    words: list[str],
    task: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    assert main(case(task, mine, out)) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    # what was under way may be said first
    assert "error: " in [line[:7] for line in captured.err.splitlines()]
    assert [word for word in words if word not in captured.err] == []
    assert "Traceback" not in captured.err
    assert not out.exists()


def test_somebody_elses_folder_is_not_touched(
    task: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    assert main(run(task, tmp_path)) == 2
    assert "is not empty and was not written by this tool" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert main(run(task, tmp_path / "thesis.txt")) == 2
    assert "is a file" in capfd.readouterr().err
    assert main(run(task, tmp_path / "thesis.txt" / "below")) == 2
    assert "cannot be written to: Not a directory" in capfd.readouterr().err


def test_options_may_stand_anywhere(task: Any, tmp_path: Path, capfd: Any) -> None:
    model, data, out = str(task.model), str(task.data), str(tmp_path / "out")
    for arguments in (
        [model, "max_length=41", "--data", data, "seed=3", "--out", out, "--seed", "1"],
        ["run", model, "max_length=41", "--out", out, "--data", data, "--quiet"],
        ["--data", data, "--out", out, model, "max_length=41"],
        [model, "--data", data, "--max-drop", "2", "max_length=41", "--out", out, "--json"],
    ):
        assert main(arguments) == 2
        assert "max_length=41, but the model has 40 positions" in capfd.readouterr().err


def test_of_two_budgets_the_one_that_counts_is_said(task: Any, tmp_path: Path, capfd: Any) -> None:
    said = "note: --target-latency 5 asks for the least drop, so --max-drop 1 is no limit\n"
    for given in ("--target-latency 5 --max-drop 1", "--target-latency 5", "--max-drop 1"):
        arguments = run(task, tmp_path / "out", *given.split(), model=tmp_path / "none")
        assert main(arguments) == 1
        assert (said in capfd.readouterr().err) == (len(given.split()) == 4)


@pytest.mark.parametrize(
    "place", ["compress.pipeline.prepare.load_splits", "compress.config.recipe.load_recipe"]
)
def test_ctrl_c_before_anything_is_written(
    place: str, task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, stop)
    assert main(run(task, tmp_path / "out")) == 130
    captured = capfd.readouterr()
    assert "interrupted; the same command goes on" in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_said_and_a_bug_is_shown(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def fail(number: int) -> Callable[..., None]:
        def stop(*_: Any, **__: Any) -> None:
            raise OSError(number, os.strerror(number), "some/file")

        return stop

    monkeypatch.setattr("compress.pipeline.prepare.load_splits", fail(errno.ENOSPC))
    assert main(run(task, tmp_path / "out")) == 1
    said = capfd.readouterr().err
    assert said.startswith("error: no space left on the disk, or in the quota, of some/file (")
    assert "run the same command again" in said
    monkeypatch.setattr("compress.pipeline.prepare.load_splits", fail(errno.ENOENT))
    with pytest.raises(FileNotFoundError):
        main(run(task, tmp_path / "out"))


def test_names_that_no_report_can_hold_are_refused(tmp_path: Path, capfd: Any) -> None:
    name = os.fsdecode(str(tmp_path).encode() + b"/\xff")
    assert main([name, "--data", "x"]) == 2
    assert r"/\udcff is not UTF-8" in capfd.readouterr().err


def test_tracebacks_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.errors import UsageError

    monkeypatch.setenv("EDGEPRESS_DEBUG", "1")
    with pytest.raises(UsageError):
        main(["prdict"])


# --- the commands that look at what is there ---


@pytest.fixture(scope="module")
def artifact(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float artifact of the task's model."""
    from compress.encoder.importers.registry import import_encoder
    from export.package import export_artifact

    imported = import_encoder(task.model)
    folder = tmp_path_factory.mktemp("made") / "artifact"
    export_artifact(
        folder,
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=None,
        max_length=32,
        calibration=[],
        checks=["a good film", "bad"],
        lineage=[{"stage": "distill", "layers": [0, 1]}],
    )
    return folder


def test_predict(artifact: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    assert main(["predict", str(artifact), "a good film", "a bad plot"]) == 0
    lines = [line.split("\t") for line in capfd.readouterr().out.splitlines()]
    assert [(line[0], line[2]) for line in lines] == [
        ("better", "a good film"),
        ("worse", "a bad plot"),
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("awful\n\nlovely\n"))
    assert main(["predict", str(artifact), "--json", "--runtime", "openvino"]) == 0
    first, blank, last = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (first["text"], first["label"]) == ("awful", "worse")
    assert blank is None
    assert (last["text"], last["label"]) == ("lovely", "better")


def test_predict_pairs(task: Any, tmp_path: Path, capfd: Any) -> None:
    from compress.encoder.importers.registry import import_encoder
    from export.examples import example_code, example_command
    from export.package import export_artifact

    imported, folder = import_encoder(task.model), tmp_path / "artifact"
    export_artifact(
        folder,
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=None,
        max_length=32,
        calibration=[],
        checks=[("a good film", "bad"), ("bad", "a good film")],
    )
    assert main(["predict", str(folder), "a good film\tgood"]) == 0
    assert capfd.readouterr().out.endswith("a good film\tgood\n")
    assert main(["predict", str(folder), "a good film"]) == 2
    assert "put a tab between" in capfd.readouterr().err
    assert example_code(folder) == "('some text', 'another text')"
    assert example_command(folder).startswith("printf 'some text\\tanother text\\n' | edgepress")
    quoted = folder.rename(tmp_path / "an $artifact")
    assert shlex.split(example_command(quoted))[-1] == str(quoted)


def test_predict_from_bytes_that_are_no_text(artifact: Path) -> None:
    command = [sys.executable, "-m", "edgepress", "predict", str(artifact)]
    done = subprocess.run(command, input=b"caf\xe9\n", capture_output=True, check=False)
    assert done.returncode == 1
    assert b"error: standard input is not UTF-8" in done.stderr


def test_inspect(artifact: Path, task: Any, capfd: Any) -> None:
    assert main(["inspect", str(artifact)]) == 0
    shown = capfd.readouterr().out
    for words in (
        "worse, better",
        "all match their SHA-256",
        "onnx/model.onnx",
        "made        distill.",
    ):
        assert words in shown
    assert main(["inspect", str(artifact), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["labels"] == ["worse", "better"]
    assert main(["inspect", str(task.model), "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["family"], facts["importer"]) == ("bert", "yes")


FILES = (
    "manifest.json",
    "tokenizer.json",
    "config.json",
    "onnx/model.onnx",
    "openvino_model.bin",
)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", ["inspect", "predict"])
def test_a_flipped_byte_is_named(
    command: str, file: str, artifact: Path, tmp_path: Path, capfd: Any
) -> None:
    damaged = copied(artifact, tmp_path / "damaged")
    content = bytearray((damaged / file).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / file).write_bytes(content)
    assert main([command, str(damaged), *(["text"] if command == "predict" else [])]) == 1
    captured = capfd.readouterr()
    assert bool(captured.out) == (command == "inspect")  # which lists the files all the same
    assert file in captured.err
    assert ("is damaged" if file == "manifest.json" else "was changed") in captured.err
    (damaged / file).unlink()
    assert main([command, str(damaged), *(["text"] if command == "predict" else [])]) == 1
    assert "Traceback" not in capfd.readouterr().err


LOOKS: dict[str, tuple[list[str], int, list[str]]] = {
    "inspect nothing": (["inspect", "{empty}"], 1, ["is no artifact, checkpoint or report"]),
    "inspect nowhere": (["inspect", "{empty}/x"], 1, ["does not exist", "name a folder"]),
    "inspect a bad report": (["inspect", "{bad}/report.json"], 1, ["report.json"]),
    "inspect a bad config": (["inspect", "{bad}"], 1, ["config.json is not readable as JSON"]),
    "predict with nothing": (["predict", "{empty}", "x"], 1, ["Not an artifact", "manifest.json"]),
    "predict one folder too high": (
        ["predict", "{made}", "x"], 1, ["Not an artifact", "Did you mean", "artifact?"],
    ),
    "predict on a missing device": (
        ["predict", "{made}/artifact", "x", "--device", "tpu"], 3, ["'tpu'"],
    ),
    "predict on an unknown runtime": (
        ["predict", "{made}/artifact", "x", "--runtime", "openvin"], 2, ["Did you mean openvino?"],
    ),
    "predict with a checkpoint": (
        ["predict", "{model}", "x"], 1, ["It is a checkpoint", "edgepress {model} --data DATA"],
    ),
    "predict from nowhere": (
        ["predict", "{empty}/x", "x"], 1, ["does not exist", "Name an artifact's folder"],
    ),
    "predict on the second device": (
        ["predict", "{artifact}", "x", "--device", "CUDA:1"], 2, ["only the first", "cuda"],
    ),
    "compress an artifact": (
        ["{artifact}", "--data", "{data}", "--out", "{empty}/out"],
        1, ["is an artifact: it is compressed already", "edgepress predict"],
    ),
    "clean what no run made": (["clean", "{data}"], 2, ["was not written by this tool"]),
    "clean what is not there": (["clean", "{empty}/x"], 2, ["is no output folder"]),
    "bench nothing": (
        ["bench", "{empty}", "--data", "{data}"], 1, ["holds no model that can be measured"],
    ),
    "bench nowhere": (["bench", "{empty}/x", "--data", "{data}"], 1, ["does not exist"]),
    "bench a bad checkpoint": (["bench", "{bad}", "--data", "{data}"], 1, ["holds no model"]),
    "bench on a device that is not here": (
        ["bench", "{artifact}", "--data", "{data}", "--device", "npu"],
        3, ["cannot be measured on npu, as"],
    ),
    "tune on nothing": (
        ["bench", "{artifact}", "--tune"], 2, ["edgepress bench {artifact} --tune --data"],
    ),
    "bench on no data": (
        ["bench", "{model}", "--data", "{empty}"], 1, ["no data files here"],
    ),
    "bench into a file": (
        ["bench", "{model}", "--data", "{data}", "--out", "{bad}/config.json"], 2, ["is a file"],
    ),
    "bench into a stranger's folder": (
        ["bench", "{model}", "--data", "{data}", "--out", "{data}"],
        2, ["not empty and holds no report.json"],
    ),
    "bench below a file": (
        ["bench", "{model}", "--data", "{data}", "--out", "{bad}/config.json/x"],
        2, ["cannot be written to"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), LOOKS.values(), ids=LOOKS)
def test_bad_folders_are_named(
    arguments: list[str],
    code: int,
    words: list[str],
    artifact: Path,
    task: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    empty, bad = tmp_path / "empty", tmp_path / "bad"
    empty.mkdir()
    bad.mkdir()
    (bad / "config.json").write_text("{nope")
    (bad / "report.json").write_text("{nope") if "report.json" in arguments[1] else None
    places = {"empty": empty, "bad": bad, "made": artifact.parent, "data": task.data,
              "model": task.model, "artifact": artifact}  # fmt: skip
    before = sorted(task.data.iterdir())
    assert main([argument.format(**places) for argument in arguments]) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert [word for word in words if word.format(**places) not in captured.err] == []
    assert sorted(task.data.iterdir()) == before
    assert not list(empty.iterdir())


@pytest.mark.parametrize("names", [{"0": "worse", "2": "better"}, {"0": None, "1": "better"}])
def test_class_names_that_are_none_are_refused_by_every_command(
    names: dict[str, Any], task: Any, tmp_path: Path, capfd: Any
) -> None:
    model = copied(task.model, tmp_path / "odd")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "id2label": names}))
    data, out = ["--data", str(task.data)], ["--out", str(tmp_path / "out")]
    for arguments in (
        ["inspect", str(model)],
        ["bench", str(model), *data],
        ["train", str(model), *data, *out],
        [str(model), *data, *out],
    ):
        assert main(arguments) == 1, arguments
        captured = capfd.readouterr()
        assert captured.out == ""
        assert f"{model / 'config.json'}: id2label " in captured.err
        assert "Traceback" not in captured.err


def test_bench_refuses_other_labels_before_it_measures(
    task: Any, tmp_path: Path, capfd: Any
) -> None:
    other = copied(task.model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(
        json.dumps({**config, "id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}})
    )
    assert main(["bench", str(task.model), str(other), "--data", str(task.data)]) == 1
    said = capfd.readouterr().err
    assert f"{other} cannot be measured on this data: its 2 labels (no, yes) do not match" in said
    assert "measuring" not in said


def test_bench_that_measured_nothing_but_the_reference_fails(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    rows = (
        Row("a", "a", "pytorch", "cpu", "fp32"),
        Row("b", "b", "openvino", "cpu", "int8", error="its process was killed"),
    )
    made = Report(environment={}, reference="a", recommended=None, rows=rows)
    monkeypatch.setattr("compress.api.benchmark", lambda *_, **__: SimpleNamespace(report=made))
    arguments = ["bench", str(task.model), "x", "--data", str(task.data), "--out", str(tmp_path)]
    assert main(arguments) == 1
    written = capfd.readouterr()
    assert "its process was killed" in written.out
    assert "\u2605" not in written.out  # the mark of what is recommended, and its legend
    assert "recommended" not in written.out
    assert f"report    {tmp_path / 'report.html'}" in written.err
    assert "nothing but the reference could be measured" in written.err


@pytest.mark.slow
def test_bench_measures_a_mix_and_writes_a_report(
    artifact: Path, task: Any, tmp_path: Path, capfd: Any
) -> None:
    out = tmp_path / "bench"
    arguments = ["bench", str(task.model), str(artifact), str(artifact), "--data", str(task.data)]
    assert main([*arguments, "--rounds", "2", "--out", str(out), "--json", "--threads", "1"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert [row["runtime"] for row in shown["rows"]] == ["pytorch", "onnxruntime", "openvino"]
    assert [row["error"] for row in shown["rows"]] == [None] * 3
    assert {row["metric"]["value"] for row in shown["rows"]} == {
        shown["rows"][0]["metric"]["value"]
    }
    assert json.loads((out / "report.json").read_text())["rows"] == shown["rows"]
    page = (out / "report.md").read_text()
    assert "onnxruntime" in page.lower()
    assert "No model is recommended" not in page
    for step in shown["next_steps"]:
        assert f"    {step['command']}" in page
    assert [len(step["command"].split(" && ")) for step in shown["next_steps"]] == [1, 1, 2]
    assert main(shlex.split(shown["next_steps"][1]["command"])[len(program()) :]) == 0  # its page
    assert shown["command"].startswith(f"{shlex.join([*program(), 'bench'])} ")


@pytest.mark.slow
def test_bench_with_fewer_threads_and_the_settings_it_finds(
    artifact: Path, task: Any, capfd: Any
) -> None:
    here = ["bench", str(artifact), "--data", str(task.data), "--json"]
    assert main([*here, "--rounds", "2", "--threads", "2", "--threads-curve"]) == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    assert [(row["runtime"], row["threads"]) for row in rows] == [
        ("onnxruntime", 2),
        ("openvino", 2),
        ("onnxruntime", 1),
        ("openvino", 1),
    ]
    assert [row["error"] for row in rows] == [None] * 4
    assert all(row["floor"]["ratio"] > 1 for row in rows)
    assert all(row["cold_start_ms"] > 0 for row in rows)
    try:
        assert main([*here, "--tune"]) == 0
        found = json.loads(capfd.readouterr().out)
        assert found["best"]["runtime"] in ("onnxruntime", "openvino")
        assert found["best"] == found["tried"][0]["setting"]
        assert main(["predict", str(artifact), "fine"]) == 0
    finally:
        (artifact / "tuning.json").unlink(missing_ok=True)
    assert main(["bench", str(artifact), str(artifact), "--tune", "--data", "x"]) == 2
    assert main([*here, "--device", "abacus"]) == 2
    assert "abacus" in (shown := capfd.readouterr().err)
    assert "npu" in shown


def test_doctor(capfd: Any) -> None:
    assert main(["doctor"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("yes     onnxruntime") and " cpu " in line for line in lines)
    assert not any(line.startswith("no ") and "problem" not in line for line in lines)
    for start, word in (("memory  ", "GB (of this machine)"), ("disk    ", " free in ")):
        [room] = [line for line in lines if line.startswith(start)]
        assert word in room
    columns = [[at.start() for at in re.finditer(r"(?<=  )\S+", line)][:2] for line in lines
               if line.startswith("yes ")]  # fmt: skip
    assert len(columns) > 1
    assert len({tuple(starts) for starts in columns}) == 1  # one below the other
    [absent] = [line for line in lines if line.startswith("not here: ")]
    assert "openvino npu" in absent
    assert main(["doctor", "--all"]) == 0
    lines = capfd.readouterr().out.splitlines()
    found = [line for line in lines if line.startswith(("yes ", "no  "))]
    assert len(found) > len(absent.split(","))
    assert {line.startswith("yes") for line in found[:1]} == {True}  # what works stands first
    assert main(["doctor", "--json"]) == 0
    diagnosis = json.loads(capfd.readouterr().out)
    assert {device["runtime"] for device in diagnosis["devices"]} >= {"onnxruntime", "pytorch"}


def test_what_to_try_starts_the_same_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, other = tmp_path / "my venv" / "edgepress", tmp_path / "other" / "edgepress"
    for script in (ours, other):
        script.parent.mkdir()
        script.touch(0o755)
    monkeypatch.setattr("sys.argv", [str(ours)])
    monkeypatch.setenv("PATH", str(ours.parent))
    assert program() == ["edgepress"]
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == [str(ours)]
    monkeypatch.setattr("sys.argv", [str(tmp_path / "edgepress" / "__main__.py")])
    assert program() == [sys.executable, "-m", "edgepress"]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert program() == [Path(sys.executable).name, "-m", "edgepress"]


def test_demo_runs_the_whole_job_on_its_own_data(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """What `prepare` makes and what a run does with it have tests of their own."""
    from compress.demo.prepare import DemoPaths

    made = DemoPaths(task.model, task.data, 60.0, 90.0)
    monkeypatch.setattr("compress.demo.prepare", lambda **_: made)
    seen: dict[str, Any] = {}

    class StopError(Exception):
        pass

    def take(model: str, data: str, out: Path, recipe: Any, **_: Any) -> None:
        seen.update(model=model, data=data, out=out, effort=recipe.effort, seed=recipe.seed)
        raise StopError

    monkeypatch.setattr("compress.pipeline.run.run", take)
    with pytest.raises(StopError):
        main(["demo", "--out", str(tmp_path), "--effort", "fast", "--seed", "3"])
    assert seen == {
        "model": str(task.model),
        "data": str(task.data),
        "out": tmp_path,
        "effort": "fast",
        "seed": 3,
    }
    assert "teacher 90.0%, bag of words 60.0%" in capfd.readouterr().err


# --- help ---

HEAVY = (
    "accelerate", "datasets", "onnx", "onnxruntime", "openvino", "pandas", "scipy", "sklearn",
    "torch", "transformers",
)  # fmt: skip
HELP = [["--help"], [], ["--version"], ["doctor", "--help"], ["run", "--help"], ["train", "--help"]]


def loaded_after(code: str, *more: str) -> list[str]:
    """Heavy libraries, and others, that a fresh interpreter has loaded after running `code`."""
    looked_for = (*HEAVY, *more)
    script = (
        f"{code}\nimport sys\n"
        f"print([m for m in {looked_for!r} if m in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))


@pytest.mark.parametrize("arguments", HELP)
def test_help_needs_nothing_but_the_command_line(arguments: list[str]) -> None:
    code = f"from compress.cli.app import main\nmain({arguments!r})"
    assert loaded_after(code, "numpy", "yaml") == []


@pytest.mark.parametrize("arguments", [["recipe"], ["m", "--data", "d", "x"]])
def test_recipes_and_mistakes_need_no_heavy_library(arguments: list[str]) -> None:
    assert loaded_after(f"from compress.cli.app import main\nmain({arguments!r})") == []


def test_help_lists_the_commands(capfd: Any) -> None:
    for arguments in (["--help"], []):
        assert main(arguments) == 0
        shown = capfd.readouterr().out
        for command in ("run", "demo", "bench", "predict", "inspect", "doctor"):
            assert f" {command} " in shown
    assert main(["--version"]) == 0
    assert capfd.readouterr().out.startswith("edgepress ")
    assert main(["predict", "--help"]) == 0
    shown = capfd.readouterr().out
    assert main(["help", "predict"]) == 0
    assert capfd.readouterr().out == shown
    assert main(["version"]) == 0
    assert capfd.readouterr().out.startswith("edgepress ")
    for command in cli.app.registered_commands:
        assert command.callback is not None
        assert main([command.callback.__name__, "--help"]) == 0
        assert "Usage: edgepress" in capfd.readouterr().out


def test_module_and_script_are_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgepress", "prdict"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "did you mean: edgepress predict" in done.stderr


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import config
    from huggingface_hub import constants

    from compress.system.hub import hub_if_reachable

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with hub_if_reachable():
        assert constants.is_offline_mode()
        assert config.HF_HUB_OFFLINE
    assert not constants.is_offline_mode()
    assert not config.HF_HUB_OFFLINE
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    with hub_if_reachable():
        assert not constants.is_offline_mode()


# --- the hub ---


@pytest.fixture
def hub(
    artifact: Path, task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeHub]:
    monkeypatch.chdir(tmp_path)
    with fake_hub(tmp_path / "cache", monkeypatch) as served:
        served.repositories.update({"ada/artifact": artifact, "ada/bert": task.model})
        yield served


def test_predict_takes_an_artifact_of_the_hub(hub: FakeHub, artifact: Path, capfd: Any) -> None:
    assert main(["predict", str(artifact), "a good film"]) == 0
    expected = capfd.readouterr().out
    assert main(["predict", "ada/artifact", "a good film"]) == 0
    assert capfd.readouterr().out == expected
    assert main(["predict", "ada/artifact", "a good film", "--revision", "v1"]) == 0
    assert capfd.readouterr().out == expected
    assert main(["predict", "ada/bert", "a good film"]) == 1
    assert "edgepress ada/bert --data DATA" in capfd.readouterr().err
    assert main(["predict", "ada/artefact", "a good film"]) == 1
    assert "the hub does not give it" in capfd.readouterr().err


def test_bench_takes_models_of_the_hub_as_a_run_does(
    hub: FakeHub, artifact: Path, task: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    seen: list[Any] = []

    def note(subjects: Any, *_: Any, **__: Any) -> None:
        seen.extend(subjects)
        raise KeyboardInterrupt

    monkeypatch.setattr("compress.evaluation.bench.run_benchmark", note)
    monkeypatch.setattr("compress.evaluation.bench.peaks_by_threads", lambda _: {})
    models = ["ada/bert", "ada/artifact", str(artifact)]
    assert main(["bench", *models, "--data", str(task.data)]) == 130
    assert [(one.id.partition(":")[0], one.model, one.kind) for one in seen] == [
        ("ada/bert", "ada/bert", "checkpoint"),
        ("ada/artifact", "ada/artifact", "artifact"),
        ("ada/artifact", "ada/artifact", "artifact"),
        (str(artifact), f"{artifact.parent.name}/artifact", "artifact"),
        (str(artifact), f"{artifact.parent.name}/artifact", "artifact"),
    ]
    assert {one.path.name for one in seen[:3]} == {hub.commit(name) for name in models[:2]}
    monkeypatch.setattr("compress.api.tune", lambda folder, *_, **__: seen.append(folder))
    monkeypatch.setattr("benchmarks.render.tuning.print_tuning", lambda *_: None)
    assert main(["bench", "ada/artifact", "--tune", "--data", str(task.data)]) == 0
    assert seen[-1].name == hub.commit("ada/artifact")
    capfd.readouterr()
    assert main(["bench", "ada/nothing", str(artifact), "--data", str(task.data)]) == 1
    assert "ada/nothing: no such folder, and the hub does not give it" in capfd.readouterr().err
