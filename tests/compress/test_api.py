"""The Python face: what a notebook calls, what it gets, and what it leaves as it was."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import compress as package
from benchmarks.metrics import CrossFitted
from compress import (
    BudgetError,
    DataError,
    ModelError,
    Recipe,
    Result,
    UsageError,
    benchmark,
    compress,
    train,
)
from compress.training.settings import TrainingSettings

State = Callable[[], dict[str, Any]]

QUICK = {
    "stages": ("quantize",),
    "speedups": (),
    "quantize": {"alternatives": False},  # one member: which scheme wins is chance
    "benchmark": {
        "baselines": (),
        "every_runtime": False,
        "throughput": False,
        "cold_starts": 0,
        "rounds": 2,
    },
    "threads": 1,
    "max_drop": 9.0,
}


def table_of(task: Any) -> pd.DataFrame:
    return pd.DataFrame(task.make_rows(600, seed=1), columns=["text", "label"])


@dataclass(frozen=True)
class Done:
    """A finished run, and the states of this process before and after it."""

    result: Result
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module")
def done(task: Any, process_state: State, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that only quantizes, from a DataFrame."""
    out = tmp_path_factory.mktemp("api") / "out"
    recipe, before = Recipe(**QUICK), process_state()
    result = compress(task.model, data=table_of(task), recipe=recipe, out=out, progress=False)
    return Done(result, before, process_state())


@pytest.fixture(scope="module")
def result(done: Done) -> Result:
    """What the run gave."""
    return done.result


# --- the list of names ---


def test_all_is_short_and_the_documented_list() -> None:
    assert len(package.__all__) <= 25
    page = (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text("utf-8")
    section = next(part for part in page.split("\n## ") if part.startswith("compress\n"))
    assert set(re.findall(r"^### (\w+)$", section, re.MULTILINE)) == set(package.__all__)
    assert [name for name in package.__all__ if f"`{name}`" not in str(package.__doc__)] == []


def test_names_are_there_and_nothing_else_is() -> None:
    assert callable(package.compress)
    assert all(hasattr(package, name) for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'compres'"):
        package.compres  # noqa: B018


def test_the_face_is_imported_without_torch() -> None:
    code = (
        "import sys; from compress import Recipe, Result, compress, train, benchmark\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- a run ---


@pytest.mark.slow
def test_a_run_gives_the_family_the_table_and_a_classifier(result: Result) -> None:
    assert result.main_process
    assert result.within_budget
    assert result.artifact == result.out / "artifact"
    shown = str(result.recommended)
    named = "x (" in shown  # on a busy machine no ratio is
    assert named == (result.report.row(str(result.report.recommended)).sure_speedup is not None)
    ratio = r"[\d.]+x \([\d.]+ to [\d.]+\), " if named else ""
    whole = rf"full: 3 layers, 12 heads, {ratio}drop -?[\d.]+ \(.+ to .+\)"
    assert re.fullmatch(whole, shown)
    # the same texts chose it: what is told is cross-fitted
    lost = result.report.told_drop
    assert lost is not None
    assert shown.endswith(f"drop {lost.value:.1f} ({lost.low:.1f} to {lost.high:.1f})")
    other = CrossFitted(7.5, 6.25, 8.75, 100, 100, 0)
    crossed = Result(result.out, replace(result.report, crossed=other))
    assert str(crossed.recommended).endswith("drop 7.5 (6.2 to 8.8)")
    assert list(result.family) == ["full"]
    assert result.recommended.checkpoint == result.out / "checkpoint"
    with result.load() as classify, result.family["full"].load(threads=1) as same:
        assert classify("a lovely film") == same("a lovely film")
        assert classify("a lovely film")[0]["label"] == "better"
    table = result.table()
    assert isinstance(table, pd.DataFrame)
    assert list(table["id"]) == [row.id for row in result.report.rows]
    assert table["speedup.value"].iloc[0] == 1
    assert str(result).startswith(f"Result in {result.out}: ")
    assert " full: 3 layers" in str(result)


@pytest.mark.slow
def test_a_notebook_shows_the_report(result: Result) -> None:
    html = result._repr_html_()
    assert html.startswith('<iframe srcdoc="&lt;!')
    assert 'title="Text classification on the DataFrame: ' in html


@pytest.mark.slow
def test_a_result_is_opened_again(result: Result) -> None:
    again = Result.read(result.out)
    assert str(again.recommended) == str(result.recommended)
    assert again.table().equals(result.table())


@pytest.mark.slow
def test_where_nothing_meets_the_budget_the_rest_is_there(result: Result) -> None:
    none = Result(result.out, replace(result.report, recommended=None))
    assert not none.within_budget
    assert list(none.family) == ["full"]
    for use in (lambda: none.recommended, none.load, lambda: none.artifact):
        with pytest.raises(BudgetError, match="no candidate stays within 9 points"):
            use()


def test_another_process_is_told_where_the_result_is() -> None:
    other = Result(Path("out"), None)
    assert not other.main_process
    assert "first process" in str(other)
    for use in (lambda: other.report, lambda: other.within_budget, other.table, other.load):
        with pytest.raises(UsageError, match="the first one has the result"):
            use()


# --- the caller's process ---


@pytest.mark.slow
def test_a_run_leaves_the_process_as_it_was(done: Done) -> None:
    assert done.after == done.before


@pytest.mark.slow
def test_a_training_leaves_the_process_as_it_was(
    task: Any, tmp_path: Path, process_state: State
) -> None:
    before = process_state()
    settings = TrainingSettings(epochs=0.5)
    trained = train(task.model, task.data, settings=settings, out=tmp_path / "t", progress=False)
    assert trained.metric is not None
    assert process_state() == before


@pytest.mark.slow
def test_a_benchmark_leaves_the_process_as_it_was(
    task: Any, result: Result, process_state: State
) -> None:
    before = process_state()
    measured = benchmark([result.artifact], task.data, rounds=2, progress=False)
    assert process_state() == before
    assert list(measured.table()["runtime"]) == ["onnxruntime", "openvino"]
    assert measured._repr_html_().startswith("<iframe")


@pytest.mark.parametrize("call", [compress, train, benchmark])
def test_an_error_leaves_the_process_as_it_was(
    call: Callable[..., Any], task: Any, tmp_path: Path, process_state: State
) -> None:
    before = process_state()
    model = [task.model] if call is benchmark else task.model
    with pytest.raises(DataError):
        call(model, {"text": ["a", "b"], "label": ["better", "worse"]}, out=tmp_path / "out")
    assert process_state() == before
    assert not (tmp_path / "out").exists()


# --- a model in memory ---


def test_a_loaded_model_is_saved_once_and_by_its_weights(task: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from compress.encoder.in_memory import saved_checkpoint

    model = AutoModelForSequenceClassification.from_pretrained(task.model)
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    folder = saved_checkpoint(model, tokenizer, tmp_path)
    assert folder.name == "opinion-bert"
    weights = (folder / "model.safetensors").stat()
    assert saved_checkpoint(model, tokenizer, tmp_path) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns
    with torch.no_grad():
        model.classifier.bias += 1
    assert saved_checkpoint(model, tokenizer, tmp_path) != folder


def test_a_pair_is_a_model_and_its_tokenizer(task: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model of transformers"):
        compress(("model", "tokenizer"), task.data, out=tmp_path / "out", progress=False)
    with pytest.raises(UsageError, match="a pair, not 1"):
        compress(("model",), task.data, out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
