"""Defines the columns of the tables that people read: first what decides, then all else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.agreement import measures_agreement
from benchmarks.render.figures import (
    MISSING,
    accuracy_points,
    drop_points,
    median,
    megabytes,
    metric_title,
    per_core_hour,
    rare,
    ratio,
    recommended_mark,
    runtime_name,
    signed,
    whole,
)
from benchmarks.report import Report, Row

__all__ = ["PER_CORE_HOUR", "Cell", "Column", "how_run", "main_columns", "mark_of", "more_columns"]


PER_CORE_HOUR = "inputs a core-hour"
"""The column that prices refer to."""


@dataclass(frozen=True)
class Cell:
    """One figure of a row.

    Attributes:
        text: In words.
        detail: Its interval, or what else stands beside it.
        key: To sort by; None where it was not measured.
    """

    text: str
    detail: str = ""
    key: float | None = None

    @property
    def line(self) -> str:
        """Both in one line."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass(frozen=True)
class Column:
    """A column of figures.

    Attributes:
        title: Its heading.
        cell: What it holds for a row.
    """

    title: str
    cell: Callable[[Row], Cell]


def main_columns(report: Report) -> list[Column]:
    """Return the columns that a decision needs."""
    return [
        Column("p50 ms", lambda row: _timing(row, median(row.end_to_end_ms))),
        Column("speed-up (95%)", _speedup),
        Column(f"{metric_title(report)} (95%)", _accuracy),
        Column("drop, points (95%)", lambda row: _drop(report, row)),
        Column("size MB", lambda row: Cell(megabytes(row.size_bytes), key=row.size_bytes)),
    ]


def more_columns(report: Report, price: float | None = None) -> list[Column]:
    """Return the other columns of which any row has a figure.

    Args:
        report: What was measured.
        price: Of a core for an hour, in any currency; None: what a million inputs cost is not said.
    """
    counts = [row.end_to_end_ms.n for row in report.rows if row.end_to_end_ms is not None]
    timings = f" (of {_range(counts)})" if counts else ""
    columns = [
        Column(f"p99 ms{timings}", _rare),
        Column("model only p50 ms", _model_only),
        Column("memory MB", lambda row: Cell(megabytes(row.rss_bytes), key=row.rss_bytes)),
        Column("load ms", lambda row: Cell(whole(row.load_ms), key=row.load_ms)),
        Column("cold start ms", lambda row: Cell(whole(row.cold_start_ms), key=row.cold_start_ms)),
        Column("batched /s", _batched),
        Column(PER_CORE_HOUR, lambda row: _core_hour(report, row, price)),
        Column("energy mJ", _energy),
        Column("model / floor", _floor),
    ]
    return [
        column for column in columns if any(column.cell(row).text != MISSING for row in report.rows)
    ]


def mark_of(report: Report, row: Row) -> str:
    """Return what a row is: recommended, the reference, failed, or nothing in particular."""
    mark = ""
    if row.id == report.recommended:
        mark = recommended_mark(report)
    elif row.id == report.reference:
        mark = "reference"
    return f"{mark} failed".strip() if row.error is not None else mark


def how_run(row: Row) -> str:
    """Return runtime and precision, as `ONNX Runtime INT8`."""
    return f"{runtime_name(row)} {row.precision.upper()}".strip()


def _timing(row: Row, text: str) -> Cell:
    return Cell(text, key=None if row.end_to_end_ms is None else row.end_to_end_ms.p50)


def _rare(row: Row) -> Cell:
    text = rare(row.end_to_end_ms)
    known = row.end_to_end_ms is not None and text != MISSING
    return Cell(text, key=row.end_to_end_ms.p99 if known and row.end_to_end_ms else None)


def _model_only(row: Row) -> Cell:
    return Cell(median(row.model_ms), key=None if row.model_ms is None else row.model_ms.p50)


def _speedup(row: Row) -> Cell:
    speedup = row.sure_speedup
    return Cell(*ratio(speedup), key=None if speedup is None else speedup.value)


def _accuracy(row: Row) -> Cell:
    metric = row.metric
    detail = "" if metric is None else f"{metric.low:.1f}\u2013{metric.high:.1f}"
    if metric is not None and measures_agreement(metric) and metric.low == metric.high:
        detail = "by definition"
    return Cell(accuracy_points(row), detail, None if metric is None else metric.value)


def _drop(report: Report, row: Row) -> Cell:
    text, detail = drop_points(row.drop)
    if report.crossed is not None and row.id == report.recommended:
        detail += f"; cross-fitted {signed(report.crossed.value)}"
    return Cell(text, detail, None if row.drop is None else row.drop.value)


def _batched(row: Row) -> Cell:
    detail = "" if row.throughput_batch is None else f"{row.throughput_batch}"
    if (row.throughput_sessions or 1) > 1:
        detail += f", {row.throughput_sessions} sessions"
    return Cell(whole(row.throughput_per_s), detail, row.throughput_per_s)


def _core_hour(report: Report, row: Row, price: float | None) -> Cell:
    count = per_core_hour(report, row)
    if count is None:
        return Cell(MISSING)
    cost = "" if price is None else f"{price / count * 1e6:.2g} a million"
    return Cell(whole(float(f"{count:.3g}")), cost, count)


def _energy(row: Row) -> Cell:
    if row.energy_mj is None:
        return Cell(MISSING)
    return Cell(f"{row.energy_mj:.3g}", key=row.energy_mj)


def _floor(row: Row) -> Cell:
    if row.floor is None:
        return Cell(MISSING)
    return Cell(f"{row.floor.ratio:.1f}", key=row.floor.ratio)


def _range(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,}\u2013{most:,}"
