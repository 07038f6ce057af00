"""Several reports on one page: what each recommends, how far they differ, what not to compare."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from reports import report_of

from benchmarks.render.side_by_side import (
    merge_reports,
    render_side_by_side,
    said_of,
    spread_lines,
)
from benchmarks.report import Report
from benchmarks.stats import Interval
from runtimes.errors import UsageError


def text_of(html: str) -> str:
    found: list[str] = []

    class Page(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    Page().feed(html)
    return " ".join(" ".join(found).split())


def seed(report: Report, number: int, times: float) -> Report:
    """The same run with another seed and another result."""
    rows = [
        replace(row, speedup=Interval(times, times - 0.5, times + 0.5))
        if row.id == report.recommended
        else row
        for row in report.rows
    ]
    return replace(report, rows=tuple(rows), data={**report.data, "seed": number})


@pytest.fixture(scope="module")
def seeds() -> list[tuple[str, Report]]:
    report = report_of("text-classification")
    return [(f"out-{i}", seed(report, i, times)) for i, times in enumerate((17.8, 12.5, 15.0), 1)]


def test_each_report_is_told_and_their_spread(seeds: list[tuple[str, Report]]) -> None:
    text = text_of(render_side_by_side(seeds))
    for name, times in (("out-1", "17.8"), ("out-2", "12.5"), ("out-3", "15.0")):
        assert f"{name} {times} times faster, 5.0 points less accurate" in text
    assert "Speed-up: 12.5 to 17.8 times, 15.1 on average." in text
    assert spread_lines(seeds)[1:] == [
        "Drop: 5.0 to 5.0 points, 5.0 on average.",
        "Size: 15.2 to 15.2 MB.",
    ]
    assert "cannot be compared" not in text
    assert text.startswith("Text classification on films: negative, positive")


def test_rows_are_what_the_reports_recommend(seeds: list[tuple[str, Report]]) -> None:
    merged = merge_reports(seeds)
    assert [row.id for row in merged.rows] == ["original", "out-1", "out-2", "out-3"]
    assert [row.sure_speedup.value for row in merged.rows[1:] if row.sure_speedup] == [
        17.8,
        12.5,
        15.0,
    ]
    assert merged.samples.keys() == {"out-1", "out-2", "out-3"}


def test_what_is_not_to_be_compared_is_said(seeds: list[tuple[str, Report]]) -> None:
    (_, first), (_, second), _ = seeds
    elsewhere = replace(second, environment={"cpu": {"model": "AMD EPYC", "cores_usable": 8}})
    other = replace(second, data={**second.data, "fingerprint": "another", "source": "books"})
    text = text_of(render_side_by_side([("a", first), ("b", elsewhere)]))
    assert "milliseconds and memory cannot" in text
    text = text_of(render_side_by_side([("a", first), ("b", other)]))
    assert "accuracies cannot be compared" in text
    assert "points against the original" in text  # which the chart's axis is of then
    assert spread_lines([("a", first), ("b", other)]) == []
    assert text.startswith("2 reports side by side")
    doubted = tuple(
        replace(row, doubt="the rounds disagree") if row.id == second.recommended else row
        for row in second.rows
    )
    text = text_of(render_side_by_side([("a", first), ("b", replace(second, rows=doubted))]))
    assert "b: its ratio is not named: the rounds disagree." in text
    assert "12.5" not in text


def test_a_report_that_recommends_nothing_stands_there_too(
    seeds: list[tuple[str, Report]],
) -> None:
    none = ("none", replace(seeds[0][1], recommended=None))
    text = text_of(render_side_by_side([none, *seeds]))
    assert "none No model is recommended." in text
    assert merge_reports([none, *seeds]).row("none").error == "no model met the budget"
    assert said_of(*none)["recommended"] is None
    assert said_of(*seeds[1])["speedup"] == 12.5
    assert "12.5 to 17.8" in spread_lines([none, *seeds])[0]


def test_one_report_or_one_name_twice_is_refused(seeds: list[tuple[str, Report]]) -> None:
    for wrong in (seeds[:1], [seeds[0], seeds[0]]):
        with pytest.raises(UsageError, match="two or more"):
            render_side_by_side(wrong)
