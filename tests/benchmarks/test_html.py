"""The HTML report and the CSV beside it: self-contained, escaped, and with what was measured."""

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.metrics import ClassDrop, Drop
from benchmarks.render.bars import class_bars, cold_start_bars, latency_bars, memory_bars
from benchmarks.render.curves import length_plot
from benchmarks.render.files import write_report
from benchmarks.render.front import front_plot
from benchmarks.render.html import render_html
from benchmarks.render.plots import DESK, PHONE, Size, draw, draw_file
from benchmarks.render.table import render_csv
from benchmarks.report import Report, load_report

VOID = {"meta", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """Tags that are open, addresses, and the text of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.cells: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.addresses.append(value or "")
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data


@pytest.fixture
def full(report: Report) -> Report:
    """With everything that a chart can be made of."""
    timed = {
        "rounds": [0, 1],
        "end_to_end_ms": [[0.9, 1.1, 1.4], [1.0, 1.2, 1.5]],
        "model_ms": [[0.8, 1.0, 1.3], [0.9, 1.1, 1.4]],
        "characters": [[10, 50, 200], [12, 60, 180]],
    }
    slow = {**timed, "end_to_end_ms": [[8.0, 9.0, 12.0], [8.5, 9.5, 12.5]]}
    small = replace(
        report.rows[2],
        by_class=(ClassDrop("$5 & $10", 30, 3.3), ClassDrop("happy", 40, -2.5)),
    )
    return replace(
        report,
        rows=(*report.rows[:2], small, report.rows[3]),
        samples={"teacher": slow, "small": timed},
    )


def test_the_page_needs_nothing_from_outside_and_closes_what_it_opens(full: Report) -> None:
    named = {**full.data, "labels": ["<b>bad</b>", "good"]}
    html = render_html(replace(full, data=named))
    page = Page(html)
    assert page.open == []
    assert page.addresses == []
    assert "<b>" in page.text
    assert "url(http" not in html
    assert "@import" not in html


def test_it_answers_a_manager_and_shows_every_row(full: Report) -> None:
    page = Page(render_html(full))
    for fact in ("8.6×", "0.98 ms", "0.2", "12.3 MB"):  # noqa: RUF001
        assert fact in page.text
    assert "points of accuracy lost" in page.text
    tables = [page.cells[start : start + 5] for start in (0, 5)]
    for titles, *rows in tables:
        marks = ("reference", "", "recommended", "failed")
        for mark, row, told in zip(marks, full.rows, rows, strict=True):
            assert told[0].startswith(f"{row.model} {mark}".strip())
            assert len(told) == len(titles)
    assert page.cells[3][1:] == ["0.98", "8.6× 8.3–8.9", "88.3 85.2–91.1", "0.2 −1.2…1.4", "12.3"]  # noqa: RUF001
    for part in ("A remark.", "436 examples", "compress films --out out", "its process was killed"):
        assert part in page.text


def test_a_gain_is_called_a_gain(full: Report) -> None:
    rows = [replace(row, drop=Drop(-0.3, -1.0, 0.4, 0.5)) for row in full.rows]
    told = Page(render_html(replace(full, rows=tuple(rows)))).text
    assert "0.3points of accuracy gained" in told
    assert "points of accuracy lost" not in told


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_plots_show_what_was_measured_in_the_colours_of_the_page(full: Report, size: Size) -> None:
    named = replace(full, rows=(*full.rows[:3], replace(full.rows[3], model="<i> & co")))
    front, length = front_plot(named, size), length_plot(named, size)
    assert front is not None
    assert length is not None
    assert [mark.row for mark in front.marks] == ["teacher", "stock", "small"]
    # right is faster, up is more accurate
    assert front.marks[0].x < front.marks[1].x < front.marks[2].x
    assert front.marks[1].y < front.marks[0].y < front.marks[2].y
    line = next(curve for curve in front.curves if curve.look == "front")
    assert line.points == [(mark.x, mark.y) for mark in front.marks[1:]]
    [band] = front.bands
    border = next(curve for curve in front.curves if curve.look == "budget")
    assert band.box.bottom == border.points[0][1]
    assert all(mark.y < band.box.bottom for mark in front.marks)
    told = {label.text for label in front.labels}
    assert {"inside the budget: 1 point", "small with 4 layers"} <= {
        text.partition(" |")[0] for text in told
    }
    for svg in (draw(front, length), draw_file(front)):
        assert Page(svg).open == []
        assert Page(svg).addresses == []


def test_a_budget_that_no_row_comes_near_leaves_the_rows_apart(full: Report) -> None:
    wide = front_plot(replace(full, budget={"max_drop": 90.0}), DESK)
    near = front_plot(replace(full, budget={}), DESK)
    assert [mark.y for mark in wide.marks] == [mark.y for mark in near.marks]
    assert [(band.box.top, band.box.bottom) for band in wide.bands] == [
        (wide.frame.top, wide.frame.bottom)
    ]
    assert not [curve for curve in wide.curves if curve.look == "budget"]
    assert any(label.text == "inside the budget: 90 points" for label in wide.labels)


def test_a_latency_is_a_budget_too(full: Report) -> None:
    asked = replace(full, budget={"max_drop": 1.0, "target_latency_ms": 2.5})
    front = front_plot(asked, DESK)
    assert front is not None
    [band] = front.bands
    assert front.marks[0].x < band.box.left < front.marks[1].x  # 8.4, 2.5 and 2.41 ms
    assert any("inside the budget: 2.5 ms" in label.text for label in front.labels)


def test_bars_have_a_line_for_each_row_that_was_measured(full: Report) -> None:
    latency, memory, classes = latency_bars(full), memory_bars(full), class_bars(full)
    assert latency is not None
    assert [bar.row for bar in latency.bars] == ["teacher", "small"]
    for bar in latency.bars:
        assert bar.thin is not None
        assert bar.tick is not None
        assert 0 <= bar.thin[0] <= bar.left <= bar.tick <= bar.right <= bar.thin[1] <= 100
    assert "p1 to p99" in latency.bars[0].tip
    assert memory is not None
    assert [bar.value for bar in memory.bars] == ["610 MB"] * 3
    assert classes is not None
    assert [(bar.name, bar.value) for bar in classes.bars] == [
        ("$5 & $10 (30)", "3.3"),
        ("happy (40)", "−2.5"),  # noqa: RUF001
    ]
    assert classes.bars[0].left == classes.bars[1].right == classes.zero
    drops = (ClassDrop("bad", 214, -0.5, -1.9, 0.9), ClassDrop("good", 222, 0.0, -2.7, 2.7))
    one = replace(full.rows[2], by_class=drops)
    chance = class_bars(replace(full, rows=(*full.rows[:2], one, full.rows[3])))
    assert chance is not None
    for bar in chance.bars:  # one text of two hundred does not fill the chart
        assert bar.thin is not None
        assert 0 <= bar.thin[0] < bar.left <= bar.right < bar.thin[1] <= 100
        assert bar.right - bar.left < 10
    same = replace(one, by_class=(*drops, ClassDrop("fair", 9, 0.0, 0.0, 0.0)))
    changed = class_bars(replace(full, rows=(*full.rows[:2], same, full.rows[3])))
    assert changed is not None
    assert [bar.name for bar in changed.bars] == ["good (222)", "bad (214)"]
    assert "Classes in which nothing changed" in changed.caption
    assert "Classes in which nothing changed" not in chance.caption
    assert cold_start_bars(full) is None
    one = replace(full.rows[2], cold_start_ms=300.0)
    assert cold_start_bars(replace(full, rows=(full.rows[0], one))) is None
    two = (replace(full.rows[0], cold_start_ms=900.0), one)
    cold = cold_start_bars(replace(full, rows=two))
    assert cold is not None
    assert [round(bar.right, 1) for bar in cold.bars] == [100.0, 33.3]


def test_a_p99_that_is_noise_ends_no_line(full: Report) -> None:
    latency = full.rows[2].end_to_end_ms
    assert latency is not None
    noisy = replace(full.rows[2], end_to_end_ms=replace(latency, p99_high=10 * latency.p50))
    bars = latency_bars(replace(full, rows=(*full.rows[:2], noisy, full.rows[3])))
    assert bars is not None
    assert ["p1 to p99" in bar.tip for bar in bars.bars] == [True, False]


def test_what_was_not_measured_has_no_chart(report: Report) -> None:
    bare = replace(report, samples={}, recommended=None)
    assert latency_bars(bare) is None
    assert length_plot(bare, DESK) is None
    assert class_bars(bare) is None
    assert front_plot(replace(report, rows=report.rows[:1], recommended=None), DESK) is None
    same = {"rounds": [0], "end_to_end_ms": [[1.0, 1.0]], "characters": [[7, 7]]}
    assert length_plot(replace(report, samples={"small": same}), DESK) is None
    assert "No model is recommended" in Page(render_html(bare)).text


def test_csv_has_a_line_a_row_and_unrounded_figures(full: Report) -> None:
    lines = list(csv.DictReader(io.StringIO(render_csv(full))))
    assert [line["id"] for line in lines] == ["teacher", "stock", "small", "gone"]
    assert float(lines[2]["speedup.low"]) == full.rows[2].speedup.low  # type: ignore[union-attr]
    assert lines[2]["model"] == full.rows[2].model
    assert lines[3]["speedup.value"] == lines[3]["size_bytes"] == ""
    assert "end_to_end_ms" not in lines[0]


def test_a_report_is_written_as_every_kind_of_file(full: Report, tmp_path: Path) -> None:
    write_report(full, tmp_path)
    names = ["pictures", "report.csv", "report.html", "report.json", "report.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert load_report(tmp_path / "report.json").rows == full.rows
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["front.svg"]
    assert "](pictures/front.svg)" in (tmp_path / "report.md").read_text(encoding="utf-8")
    for name in ("report.html", "report.md"):
        assert "Text classification on films" in (tmp_path / name).read_text(encoding="utf-8")
