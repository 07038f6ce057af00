"""Renders a report as CSV: every row with unrounded figures, for spreadsheets and scripts."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.report import PARTS, Report, Row
from runtimes.escaping import escape_cell

__all__ = ["render_csv"]


def render_csv(report: Report) -> str:
    """Render one line a row of the report; parts of a figure are columns such as `drop.low`.

    Empty is what was not measured. Text that a spreadsheet would take for a formula begins with
    `'`. What falls on a class or a length is in `report.json` alone.
    """
    lines = [_flat(row) for row in report.rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    values = asdict(row)
    del values["by_class"], values["by_length"]
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": figure for part, figure in value.items()}
        elif value is not None or name not in PARTS:  # of a figure with parts, these are missing
            flat[name] = value
    return {n: escape_cell(of) if isinstance(of, str) else of for n, of in flat.items()}
