"""What people read: nothing is cut off, nothing is hidden, nothing is markup by accident."""

import csv
import io
import json
import re
from dataclasses import asdict, replace

import pytest

from benchmarks.disturbance import Disturbance
from benchmarks.metrics import Drop
from benchmarks.noise import close_rows
from benchmarks.render.bars import latency_bars
from benchmarks.render.curves import length_plot
from benchmarks.render.figures import (
    budget_line,
    doubts,
    drop_points,
    megabytes,
    milliseconds,
    ratio,
    result,
)
from benchmarks.render.front import front_plot
from benchmarks.render.headline import headline, summary
from benchmarks.render.html import render_html
from benchmarks.render.markdown import render_markdown, render_table
from benchmarks.render.plots import DESK
from benchmarks.render.table import render_csv
from benchmarks.render.terminal import print_report
from benchmarks.report import Report
from benchmarks.stats import Interval


def printed(report, width, encoding="utf-8"):
    from rich.console import Console

    console = Console(width=width, record=True, force_terminal=False, quiet=False)
    with console.capture() as capture:
        print_report(report, console)
    return capture.get()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_terminal_stays_within_its_width_and_shows_every_row(report, width):
    text = printed(report, width)

    assert max(len(line) for line in text.splitlines()) <= width
    for name in ("teacher", "stock", "small", "gone"):
        assert name in text
    assert "0.98" in text
    assert "8.6×" in text  # noqa: RUF001


def test_a_hundred_columns_hold_what_a_decision_needs(report):
    text = printed(report, 100)
    line = next(line for line in text.splitlines() if line.startswith("★"))

    for cell in ("ONNX Runtime", "int8", "0.98", "8.6", "8.3", "8.9", "88.3", "0.2", "12.3"):
        assert cell in line
    assert "[bold]" in text  # a name is never read as markup
    assert re.search(r"^= +teacher", text, re.MULTILINE)
    assert re.search(r"^✗ +gone", text, re.MULTILINE)
    assert "gone on OpenVINO INT8: its process was killed" in text


def test_numbers_of_a_column_are_aligned(report):
    lines = [line for line in printed(report, 100).splitlines() if "int8 " in line]
    ends = [re.search(r"int8 +[\d.]+", line).end() for line in lines if "8" in line[60:]]

    assert len(ends) == 3
    assert len(set(ends)) == 1


def test_summary_answers_how_fast_how_accurate_how_big_against_what(report):
    text = summary(report)

    for fact in ("small", "teacher", "8.6", "8.3", "8.9", "0.98 ms", "8.40 ms", "12.3 MB", "436"):
        assert fact in text
    assert "No model is recommended" in summary(replace(report, recommended=None))
    asked_for_none = summary(replace(report, recommended=None, budget={}))
    assert asked_for_none.startswith("The reference is teacher")
    shown = printed(replace(report, recommended=None, budget={}), 200)
    assert "recommended" not in shown
    assert "= reference" in shown
    assert "reference itself" in summary(replace(report, recommended="teacher"))
    assert "its process was killed" in summary(replace(report, recommended="gone"))


def test_the_budget_stands_under_every_table_with_what_the_examples_can_tell(report):
    asked = {"max_drop": 1.0, "confidence": 0.7}
    report = replace(report, budget=asked)
    line = budget_line(report)
    assert line == (
        "Budget: a drop of at most 1 point, with a probability of 70% as the selection split "
        "tells it. Met where it is reported (0.2). 436 reported examples tell the drop to ±1.3 "
        "points; ±1 would take about 740."
    )  # 436 x 1.3^2 = 737
    assert line in " ".join(printed(report, 100).split())
    assert line in render_markdown(report)
    assert line in render_html(report)

    missed = budget_line(replace(report, budget={**asked, "max_drop": 0.1}))
    assert "Missed where it is reported (0.2)." in missed
    none = budget_line(replace(report, recommended=None))
    assert "where it is reported" not in none
    latency = budget_line(replace(report, budget={**asked, "target_latency_ms": 2.5}))
    assert latency.startswith("Budget: 2.5 ms, and the least drop within it. 436 reported")
    assert budget_line(replace(report, budget={})) == ""
    row = report.row("small")
    sure = replace(report, rows=(report.rows[0], replace(row, drop=Drop(0.2, -0.2, 0.6, 0.5))))
    assert budget_line(sure).endswith("tell the drop to ±0.4 points.")


def test_markdown_table_keeps_its_columns_whatever_names_hold(report):
    short, rest = render_table(report).split("<details>")
    for table in (short, rest):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(report.rows)
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in lines}) == 1
    lines = [line for line in short.splitlines() if line]
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "reference",
        "",
        "**recommended**",
        "failed",
    ]


def test_markdown_says_what_on_what_how_and_how_again(report):
    text = render_markdown(report)

    for part in (
        f"**{headline(report)}**",
        result(report).replace("|", "\\|"),
        "A remark.",
        "436 examples",
        "validation was halved",
        "20 rounds",
        "A processor",
        "compress films --out out",
        "Seed 5",
        "its process was killed",
    ):
        assert part in text
    assert "busy" not in text.split("## How it was measured")[0]


def test_markdown_warns_of_what_readers_would_miss(report):
    changed = replace(report.rows[1], batch_label_changes=0.025, note="Ran in one thread.")
    text = render_markdown(replace(report, rows=(report.rows[0], changed), recommended=None))

    assert "some inputs got another label in a batch than alone: stock" in text
    assert "on ONNX Runtime INT8 to 2.5%." in text
    assert "Ran in one thread." in text


def busy(report, *doubted, why="other processes used 48% of the cores in 12 of 20 rounds"):
    """A report of which the ratios of some rows are in doubt."""
    seen = Disturbance(True, 40, 32, 12, 0.48, 0.0, 61.5, 60.0)
    return replace(
        report,
        rows=tuple(replace(row, doubt=why) if row.id in doubted else row for row in report.rows),
        method={**report.method, "disturbance": asdict(seen)},
    )


def test_a_ratio_in_doubt_is_named_nowhere_and_the_first_line_says_why(report):
    report = busy(report, "small", "stock")
    first = (
        "The ratio could not be measured: other processes used 48% of the cores in 12 of 20 "
        "rounds. Run again when the machine is quiet: compress films --out out"
    )
    shown = {
        "terminal": printed(report, 200).splitlines()[0],
        "markdown": render_markdown(report).splitlines()[2],
        "html": re.search(r'class="doubt">(.*?)<', render_html(report)).group(1),
    }
    for text in shown.values():
        assert text.startswith(first)
    said = first.partition(" Run again")[0]
    assert summary(report).startswith(f"{said} 0.2 points less accurate")  # a card names no command
    for text in (printed(report, 200), render_markdown(report), render_html(report)):
        assert "8.6×" not in text  # noqa: RUF001
        assert "3.5×" not in text  # noqa: RUF001
        assert "times faster" not in text
        assert "as fast" not in text.split("How it was measured")[0]
    for text in (printed(report, 200), render_markdown(report), render_html(report)):
        assert "chosen, ratio not known" in text
        assert "recommended" not in re.sub(
            r"<style>.*</style>|class=.recommended.|<script>.*", "", text, flags=re.S
        )
    assert front_plot(report, DESK) is None
    lines = {line["id"]: line for line in csv.DictReader(io.StringIO(render_csv(report)))}
    held = {row["id"]: row for row in report.to_json()["rows"]}
    for name in ("small", "stock"):  # never the figure without its doubt
        assert lines[name]["doubt"] == held[name]["doubt"] == report.row(name).doubt
    again = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert summary(again) == summary(report)
    assert printed(again, 200) == printed(report, 200)
    assert "loses 0.2 points" in summary(report)
    text = render_markdown(report)
    assert "on ONNX Runtime INT8: its ratio is not named: other processes used 48%" in text
    assert "48% of the cores in 32 of 40 timings. 20 of these were left out or made again" in text


def test_the_first_line_says_so_of_rows_that_nothing_recommends(report):
    report = replace(report, recommended=None, command=None)
    both = busy(report, "small", "stock")
    assert summary(both).startswith("The ratios could not be measured: other processes used 48% of")
    assert "of 20 rounds. No model is recommended" in summary(both)
    assert "of 20 rounds. Run again when the machine is quiet.\n" in printed(both, 200)
    one = busy(report, "stock", why="the ends of its 95% interval are 37.3 times apart")
    assert doubts(one).startswith(
        "The ratio of 1 of 2 rows could not be measured: the ends of its 95% interval are 37.3 "
    )
    assert doubts(report) == ""


def test_the_first_line_says_that_candidates_were_compared_on_a_busy_machine(report):
    choosing = {**report.method, "choosing": "other processes used 30% of the cores"}
    text = summary(replace(report, method=choosing))
    assert text.startswith(
        "The model was chosen while other processes used 30% of the cores: another may be as good. "
        "8.6 times faster"
    )
    assert "8.6×" in text  # noqa: RUF001


def test_a_p99_stands_with_its_timings_or_not_at_all(report):
    assert "p99 ms (of 500)" in render_markdown(report)
    line = next(line for line in printed(report, 200).splitlines() if line.startswith("★"))
    assert "2.45" in line
    small = report.row("small")
    for low, high in ((None, None), (1.0, 1.6)):
        latency = replace(small.end_to_end_ms, p99_low=low, p99_high=high)
        rows = (report.rows[0], replace(small, end_to_end_ms=latency, doubt=""))
        noisy = replace(report, rows=rows)
        assert "2.45" not in printed(noisy, 200)
        assert "2.45" not in render_markdown(noisy)


def test_what_was_left_out_on_a_busy_machine_is_said_in_one_line(report):
    left_out = {"p99": ["teacher", "stock", "small"], "cold start": ["stock"]}
    text = "Left out, as other processes were busy to the end of waiting: p99 of all rows; cold"
    report = replace(report, method={**report.method, "left_out": left_out})
    assert text in printed(report, 300)
    assert text in render_markdown(report)
    assert text in render_html(report)
    assert f"{text} start of stock with 4 layers" in printed(report, 300)


def test_rows_whose_rounds_were_disturbed_are_not_drawn_nor_ranked(report):
    timed = {"rounds": [0, 1, 2], "end_to_end_ms": [[0.9], [1.0], [1.1]], "disturbed": [2]}
    timed |= {"characters": [[3], [9], [20]]}
    drawn = replace(report, samples={"small": {**timed, "disturbed": []}, "stock": timed})
    assert close_rows(drawn)
    assert [bar.row for bar in latency_bars(drawn).bars] == ["small"]
    assert [curve.row for curve in length_plot(drawn, DESK).curves] == ["small"]
    assert latency_bars(replace(drawn, samples={"stock": timed})) is None
    assert not close_rows(busy(drawn, "stock"))


def test_reports_with_little_in_them_render(report):
    bare = replace(
        report,
        environment={},
        data={},
        method={},
        notes=(),
        command=None,
        created=None,
        rows=(replace(report.rows[3], id="only"),),
        reference="only",
        recommended=None,
    )

    assert "only" not in printed(bare, 100)  # ids are for programs
    assert "its process was killed" in printed(bare, 100)
    assert "its process was killed" in render_markdown(bare)


def test_figures_have_the_precision_that_measurements_have():
    assert [milliseconds(v) for v in (0.0412, 0.0996, 0.412, 9.994, 9.996, 24.12, 310.4, None)] == [
        "0.041", "0.10", "0.41", "9.99", "10.0", "24.1", "310", "\u2013",
    ]  # fmt: skip
    assert [megabytes(v) for v in (310_000, 12_340_000, 439_600_000)] == ["0.31", "12.3", "440"]
    assert ratio(Interval(0.871, 0.85, 0.9)) == ("0.87\u00d7", "0.85\u20130.90")
    assert drop_points(Drop(-0.04, -1.26, 1.0, 1.0)) == ("0.0", "\u22121.3\u20261.0")
    assert drop_points(Drop(0.0, 0.0, 0.0, 1.0)) == ("0.0", "same")
