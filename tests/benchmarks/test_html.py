"""The HTML report and the CSV beside it: self-contained, escaped, and with what was measured."""

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.metrics import ClassDrop
from benchmarks.render.charts import class_chart, front_chart, latency_chart, length_chart
from benchmarks.render.files import write_report
from benchmarks.render.html import render_html
from benchmarks.render.table import render_csv
from benchmarks.report import Report, load_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
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
        if self.open and self.open[-1] in ("td", "th"):
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
    rows = page.cells[1:]
    assert [row[0] for row in rows] == ["reference", "", "recommended", "failed"]
    assert rows[2][1] == "small with 4 layers | 9 heads [bold]"
    assert all(len(row) == len(page.cells[0]) for row in rows)
    for part in ("A remark.", "436 examples", "compress films --out out", "its process was killed"):
        assert part in page.text


def test_charts_show_what_was_measured_in_the_colours_of_the_page(full: Report) -> None:
    charts = {
        "front": front_chart(full),
        "latency": latency_chart(full),
        "length": length_chart(full),
        "class": class_chart(full),
    }
    for name, svg in charts.items():
        assert svg is not None, name
        assert svg.startswith('<svg role="img" aria-label="'), name
        assert "var(--" in svg, name
        assert "#0" not in svg.replace("#000000", ""), name  # a placeholder that was left
        assert Page(svg).open == [], name
    front, by_class = Page(charts["front"] or "").text, Page(charts["class"] or "").text
    assert "budget" in front
    assert "small with 4 layers" in front
    assert "gone" not in front
    assert "$5 & $10 (30)" in by_class


def test_what_was_not_measured_has_no_chart(report: Report) -> None:
    bare = replace(report, samples={}, recommended=None)
    assert latency_chart(bare) is None
    assert length_chart(bare) is None
    assert class_chart(bare) is None
    assert front_chart(replace(report, rows=report.rows[:1], recommended=None)) is None
    same = {"rounds": [0], "end_to_end_ms": [[1.0, 1.0]], "characters": [[7, 7]]}
    assert length_chart(replace(report, samples={"small": same})) is None
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
    names = ["report.csv", "report.html", "report.json", "report.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert load_report(tmp_path / "report.json").rows == full.rows
    for name in ("report.html", "report.md"):
        assert "Text classification on films" in (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_it_no_wider_than_the_window(
    full: Report, tmp_path: Path, width: int
) -> None:
    """Wide things scroll in boxes of their own; both colour schemes are in the page."""
    assert CHROMIUM is not None
    page = tmp_path / "report.html"
    measure = (
        "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth + "
        "' ' + document.querySelectorAll('figure svg').length</script>"
    )
    page.write_text(render_html(full).replace("</body>", f"{measure}</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = done.stdout.split("<title>")[1].split("</title>")[0]
    wide, _, window, charts = title.split()
    assert int(wide) <= int(window)
    assert int(charts) == 4
