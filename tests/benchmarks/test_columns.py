"""What inputs cost, what they take, and what the bytes are for."""

from dataclasses import replace

import numpy as np
import pytest
from reports import report_of

from benchmarks.render.bars import size_bars
from benchmarks.render.columns import PER_CORE_HOUR, more_columns
from benchmarks.render.figures import per_core_hour
from benchmarks.render.html import render_html
from benchmarks.render.markdown import render_markdown
from benchmarks.report import Report


@pytest.fixture(scope="module")
def told() -> Report:
    return report_of("text-classification")


def cells(report: Report, title: str, price: float | None = None) -> dict[str, str]:
    [column] = [each for each in more_columns(report, price) if each.title == title]
    return {row.id: column.cell(row).line for row in report.rows}


def test_a_core_answers_so_many_inputs_an_hour(told: Report) -> None:
    row = told.row("x3-onnxruntime")
    ms = np.mean(told.samples[row.id]["end_to_end_ms"])
    assert per_core_hour(told, row) == pytest.approx(3600 * 1000 / ms / 2)  # on two cores
    alone = replace(row, threads=1)
    assert per_core_hour(told, alone) == pytest.approx(3600 * 1000 / ms)
    assert row.end_to_end_ms is not None
    unsampled = replace(told, samples={})
    assert per_core_hour(unsampled, row) == pytest.approx(3.6e6 / row.end_to_end_ms.p50 / 2)
    assert per_core_hour(told, replace(row, device="cuda")) is None
    assert per_core_hour(told, told.row("x9")) is None  # it was not timed


def test_what_a_million_costs_is_said_at_a_price_only(told: Report) -> None:
    row = told.row("x3-onnxruntime")
    count = per_core_hour(told, row)
    assert count is not None
    assert "a million" not in cells(told, PER_CORE_HOUR)[row.id]
    priced = cells(told, PER_CORE_HOUR, 0.05)
    assert priced[row.id].endswith(f"({0.05 / count * 1e6:.2g} a million)")
    assert priced["x9"] == "\u2013"
    assert f"{0.05 / count * 1e6:.2g} a million" in render_html(told, price=0.05)
    assert PER_CORE_HOUR in render_markdown(told)


def test_energy_is_a_column_where_it_was_counted(told: Report) -> None:
    assert cells(told, "energy mJ")["x2-onnxruntime"] == "6.06"
    rows = tuple(replace(row, energy_mj=None) for row in told.rows)
    silent = replace(told, rows=rows)
    assert "energy" not in render_html(silent)
    assert "energy" not in render_markdown(silent)


def test_sizes_are_split_from_left_to_right(told: Report) -> None:
    bars = size_bars(told)
    assert bars is not None
    small = next(bar for bar in bars.bars if bar.row == "x3-onnxruntime")
    assert [look for *_, look in small.parts] == [
        f"part-{name}" for name in told.sizes["x3-onnxruntime"]
    ]
    widths = [right - left for left, right, _ in small.parts]
    sizes = list(told.sizes["x3-onnxruntime"].values())
    assert np.array(widths) / sum(widths) == pytest.approx(np.array(sizes) / sum(sizes))
    assert small.value == "15.9 MB"  # with the tokenizer
    assert small.note.startswith("embeddings 11.0, ")
    assert max(bar.right for bar in bars.bars) == pytest.approx(100)
    assert size_bars(replace(told, sizes={})) is None
