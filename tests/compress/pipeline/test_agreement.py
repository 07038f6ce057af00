"""A run without any labels: the budget is agreement with the original, and the report says so."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from compress import Recipe, compress
from compress.cli.app import main
from compress.errors import RecipeError, UsageError
from runtimes.artifact import read_manifest

pytestmark = pytest.mark.slow

QUICK = {
    "stages": ("prune", "distill", "quantize"),
    "speedups": (),
    "threads": 1,
    "runtimes": ("onnxruntime",),
    "distill": {"epochs": 1, "augment": 1, "learning_rate": 1e-3, "enough": 0},
    "prune": {"steps": 1, "neuron_step": 8},
    "quantize": {"calibration_texts": 4, "alternatives": False},
    "benchmark": {
        "rounds": 2,
        "sentences": 5,
        "baselines": (),
        "every_runtime": False,
        "cold_starts": 0,
        "throughput": False,
    },
}


@pytest.fixture(scope="module")
def texts(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("texts") / "texts.txt"
    file.write_text("".join(f"{text}\n" for text, _ in task.make_rows(600, seed=5)), "utf-8")
    return file


@pytest.fixture(scope="module")
def out(task: Any, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command leaves."""
    folder: Path = tmp_path_factory.mktemp("run") / "out"
    recipe = folder.parent / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(json.loads(json.dumps(QUICK))), "utf-8")
    command = [str(task.model), "--unlabelled", str(texts), "--min-agreement", "80"]
    assert main([*command, "--recipe", str(recipe), "--out", str(folder)]) == 0
    return folder


def test_everything_says_agreement(out: Path) -> None:
    report = json.loads((out / "report.json").read_text())
    assert report["budget"]["min_agreement"] == 80
    assert report["budget"]["max_drop"] == 20
    assert report["data"]["splits"] == {"train": 480, "selection": 60, "report": 60}
    rows = {row["id"]: row for row in report["rows"]}
    reference, chosen = rows[report["reference"]], rows[report["recommended"]]
    assert (reference["metric"]["value"], reference["metric"]["low"]) == (100, 100)
    assert chosen["metric"]["name"] == "agreement"
    assert chosen["metric"]["value"] >= 80
    assert chosen["drop"]["value"] == pytest.approx(100 - chosen["metric"]["value"])
    assert {part["label"] for part in chosen["by_class"]} == {"worse", "better"}

    card = (out / "artifact" / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["metrics"] == ["agreement"]
    [measured] = front["model-index"][0]["results"][0]["metrics"]
    assert measured["name"].startswith("agreement with the original model, no labels, 95% interval")
    assert "accura" not in card.lower()
    for name in ("report.md", "report.html"):
        assert "accura" not in (out / name).read_text().lower()
    assert "the budget is 80% agreement" not in card
    metrics = read_manifest(out / "artifact").metrics
    assert {row["metric"]["name"] for row in metrics["rows"]} == {"agreement"}
    assert yaml.safe_load((out / "recipe.yaml").read_text())["min_agreement"] == 80
    assert "to all of" not in (out / "run.log").read_text()
    assert not any("to all of" in note for note in report["notes"])


def test_the_commands_that_it_names_work(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps = json.loads((out / "report.json").read_text())["next_steps"]
    [tune] = [shlex.split(step["command"]) for step in steps if "--tune" in step["command"]]
    assert main(tune[tune.index("bench") :]) == 0
    assert main(["inspect", str(out / "artifact")]) == 0
    assert "agreement " in capfd.readouterr().out


def test_it_resumes_and_texts_in_memory_are_the_same(
    out: Path, task: Any, texts: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = out / ".edgepress"
    made = {
        place: place.stat().st_mtime_ns
        for name in ("encoders", "members")
        for place in (kept / name).iterdir()
    }
    before = json.loads((out / "report.json").read_text())
    recipe = Recipe.preset("balanced", **QUICK, max_drop=20)
    given = texts.read_text("utf-8").splitlines()
    result = compress(task.model, unlabelled=given, recipe=recipe, out=out, progress=False)
    assert "No labels: the budget is 80% agreement" not in capfd.readouterr().out
    assert {place: place.stat().st_mtime_ns for place in made} == made
    now = {place for name in ("encoders", "members") for place in (kept / name).iterdir()}
    assert now == made.keys()  # no stage was done again, nothing was exported again
    row = result.recommended.row
    assert row is not None
    assert row.metric is not None
    [old] = [one for one in before["rows"] if one["id"] == before["recommended"]]
    assert row.metric.value == old["metric"]["value"]


def test_budgets_that_say_two_things_are_refused(task: Any, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="two budgets: 99 allows 1 points"):
        Recipe.preset("fast", max_drop=2.0, min_agreement=99)
    assert Recipe.preset("fast", max_drop=1.5, min_agreement=98.5).budget == 1.5
    assert Recipe.preset("fast", min_agreement=99.3).budget == 0.7
    recipe = Recipe.preset("fast", min_agreement=99)
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="with labels it is max_drop"):
        compress(task.model, str(task.data), recipe=recipe, out=out)
    with pytest.raises(UsageError, match="neither labelled"):
        compress(task.model, recipe=recipe, out=out)
    with pytest.raises(UsageError, match="needs labelled text"):
        compress(
            task.model, unlabelled=texts, recipe=recipe, out=out, device="ssh://nobody@nowhere"
        )
    assert not out.exists()


def test_data_without_labels_name_the_command_for_them(
    task: Any, texts: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "bare.csv"
    table.write_text("text\na film\nthe plot\n", "utf-8")
    for data in (table, texts):
        assert main([str(task.model), "--data", str(data), "--out", str(tmp_path / "out")]) == 1
        errors = " ".join(capfd.readouterr().err.split())
        assert f"{task.model} --unlabelled {data} --min-agreement 99" in errors
    assert main([str(task.model)]) == 2
    assert "without labels: --unlabelled" in capfd.readouterr().err
