"""The first line in words: how much faster, less accurate and smaller, or why it does not say."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.metrics import CrossFitted, Drop, Metric
from benchmarks.render.columns import main_columns
from benchmarks.render.figures import MINUS, budget_line, result
from benchmarks.render.headline import data_name, headline, machine_name, size_in_words, title_of
from benchmarks.render.sections import method_facts
from benchmarks.report import Report, load_report, save_report
from benchmarks.stats import Interval


def with_row(report: Report, **changes: object) -> Report:
    """The report with another recommended row."""
    rows = [replace(row, **changes) if row.id == "small" else row for row in report.rows]
    return replace(report, rows=tuple(rows))


def with_cpu(report: Report, model: str | None) -> Report:
    return replace(report, environment={"cpu": {"model": model, "cores_usable": 2}})


def test_it_says_how_much_faster_less_accurate_and_smaller(report: Report) -> None:
    shown = headline(with_cpu(report, "Intel(R) Xeon(R) Processor @ 2.10GHz"))
    assert shown == (
        "8.6 times faster, 0.2 points less accurate, a seventh of the size: answers in 0.98 ms on "
        "this 2-core Xeon instead of 8.40 ms."
    )


def test_a_ratio_in_doubt_is_not_named_nor_what_it_would_follow_from(report: Report) -> None:
    doubted = headline(with_row(report, doubt="the rounds disagree"))
    assert doubted == "0.2 points less accurate, a seventh of the size."


@pytest.mark.parametrize(
    ("speedup", "lost", "metric", "expected"),
    [
        (1.04, 0.0, "accuracy", "As fast, as accurate"),
        (0.5, -1.0, "accuracy", "2.0 times slower, 1.0 point more accurate"),
        (2.0, 0.62, "F1", "2.0 times faster, 0.6 points of F1 lost"),
        (2.0, -0.62, "F1", "2.0 times faster, 0.6 points of F1 gained"),
        (2.0, 0.62, "Spearman", "2.0 times faster, 0.6 points of Spearman's correlation lost"),
        (2.0, 0.04, "Spearman", "2.0 times faster, the same Spearman's correlation"),
    ],
)
def test_it_is_said_as_it_is(
    report: Report, speedup: float, lost: float, metric: str, expected: str
) -> None:
    shown = headline(
        with_row(
            report,
            speedup=Interval(speedup, speedup - 0.1, speedup + 0.1),
            drop=Drop(lost, lost - 1, lost + 1, 1.0),
            metric=Metric(metric, 88.0, 86.0, 90.0, 436),
        )
    )
    assert shown.startswith(f"{expected}, a seventh of the size")


def test_nothing_is_said_where_nothing_is_recommended_or_measured(report: Report) -> None:
    for name in (None, "teacher", "gone"):
        assert headline(replace(report, recommended=name)) == ""
    bare = with_row(report, speedup=None, drop=None, size_bytes=None, end_to_end_ms=None)
    assert headline(bare) == ""


def test_sizes_have_words_where_these_are_true() -> None:
    words = {1.0: "the same size", 0.5: "half the size", 0.34: "a third of the size"}
    words |= {0.111: "a ninth of the size", 0.125: "an eighth of the size", 0.43: "43% of the size"}
    words |= {1 / 14: "1/14 of the size", 2.3: "2.3 times the size", 0.8: "80% of the size"}
    assert {share: size_in_words(share) for share in words} == words


def test_machines_have_short_names(report: Report) -> None:
    row = report.row("small")
    named = {
        "AMD EPYC 9V74 80-Core Processor": "2-core EPYC",
        "12th Gen Intel(R) Core(TM) i7-1260P": "2-core machine",
        "Apple M3": "2-core Apple M3",
        "": "2-core machine",
    }
    for model, name in named.items():
        assert machine_name({"cpu": {"model": model, "cores_usable": 2}}, row) == name
    gpus = {"gpus": ["NVIDIA H200, 143771 MiB, 550.1"]}
    assert machine_name(gpus, replace(row, device="cuda")) == "NVIDIA H200"
    assert machine_name({}, replace(row, device="npu")) == "NPU"
    assert machine_name({}, row) == "machine"


def test_the_title_says_what_the_model_does(report: Report) -> None:
    assert title_of(report) == "Text classification on films: bad, good"
    tags = ["O", "B-artist", "I-artist", "B-album", "I-album"]
    data = {"task": "token-classification", "labels": tags, "source": "/tmp/snips-slots/train.csv"}
    tagger = replace(report, data=data)
    assert title_of(tagger) == "Token classification on snips-slots/train: artist, album"
    many = {"task": "text-classification", "labels": [f"intent {i}" for i in range(16)]}
    shown = title_of(replace(report, data=many))
    assert shown == "Text classification: 16 labels, such as intent 0, intent 1"
    scores = {"task": "text-classification", "problem_type": "regression", "labels": ["score"]}
    assert title_of(replace(report, data=scores)) == "Scores of texts: score"
    assert title_of(replace(report, data={})) == "Benchmark"


def test_data_are_named_by_what_says_something() -> None:
    names = {
        "../shared/data/sst2": "sst2",
        "reviews.csv": "reviews",
        "demo-out/data": "demo-out/data",
        "data": "data",
        "/data/train.parquet": "data/train",
        "org/name": "name",
        "the DataFrame": "the DataFrame",
    }
    assert {source: data_name(source) for source in names} == names


def test_examples_that_chose_are_told_by_cross_fitting(report: Report, tmp_path: Path) -> None:
    """The row's own drop is a winner's: no sentence about what is recommended names it."""
    crossed = replace(report, crossed=CrossFitted(1.3, -0.4, 3.0, 436, 100, 2))
    assert "1.3 points less accurate" in headline(crossed)
    said = result(crossed)
    assert (
        f"loses 1.3 points of accuracy (drop: cross-fitted, 95% interval {MINUS}0.4 to 3.0" in said
    )
    assert "examples, which also chose it)" in said
    cells = {row.id: main_columns(crossed)[3].cell(row).line for row in crossed.rows}
    assert cells.pop(crossed.recommended or "").endswith("; cross-fitted 1.3)")
    assert not any("cross-fitted" in cell for cell in cells.values())
    asked = budget_line(replace(crossed, budget={"max_drop": 1.0, "confidence": 0.7}))
    assert "Missed in cross-fitting (1.3)." in asked
    assert "436 reported examples tell the drop to \u00b11.7 points" in asked
    assert any("100 times (in 2 of them nothing" in line for line in method_facts(crossed))
    assert not any("cross-fitting" in line for line in method_facts(report))
    save_report(crossed, tmp_path / "report.json")
    assert load_report(tmp_path / "report.json").crossed == crossed.crossed
