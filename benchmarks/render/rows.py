"""Names rows in charts, and says what they look like there."""

from collections import Counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.render.figures import runtime_name
from benchmarks.report import Report, Row
from runtimes.escaping import escape_line

__all__ = ["Look", "look_of", "quiet_timings", "short_names"]

Look = Literal["recommended", "reference", "stock", "other"]
"""Class of a row in the page: its colour and mark."""


def look_of(report: Report, row: Row) -> Look:
    """Return what a row is drawn as."""
    if row.id == report.recommended:
        return "recommended"
    if row.id == report.reference:
        return "reference"
    return "stock" if row.id.startswith("stock-") else "other"


def short_names(report: Report) -> dict[str, str]:
    """Name rows by id: `x2.1` for `x2.1: 6 layers, 30 heads`, `stock int8` for a stock export.

    With the runtime where several rows but the recommended one were to be called the same.
    """
    names = {
        row.id: escape_line(
            f"stock {row.precision}" if row.id.startswith("stock-") else row.model.partition(":")[0]
        )
        for row in report.rows
    }
    counts = Counter(names.values())
    return {
        row.id: names[row.id]
        if counts[names[row.id]] == 1 or row.id == report.recommended
        else f"{names[row.id]}, {runtime_name(row)}"
        for row in report.rows
    }


def quiet_timings(report: Report, row: Row) -> NDArray[np.float64] | None:
    """Return a row's raw timings (N,), end to end; None where others disturbed any of them."""
    samples = report.samples.get(row.id)
    if samples is None or samples.get("disturbed"):
        return None
    return np.ravel(samples["end_to_end_ms"]).astype(np.float64)
