"""Renders a report as one HTML file that needs no network: for manager, engineer and phone."""

import re
from typing import Any

from benchmarks.render import sections
from benchmarks.render.architecture import describe_kept, kept_of, render_kept
from benchmarks.render.charts import class_chart, front_chart, latency_chart, length_chart
from benchmarks.render.figures import (
    budget_line,
    drop_points,
    megabytes,
    milliseconds,
    ratio,
)
from benchmarks.render.headline import summary, title_of
from benchmarks.report import Report, Row
from runtimes.escaping import escape_lines

__all__ = ["render_html"]

_CHARTS = (
    (front_chart, "Speed and accuracy", "Right is faster, low is more accurate."),
    (latency_chart, "Latency", "One input at a time, all rows in turns."),
    (length_chart, "Latency by length", "One input at a time."),
    (class_chart, "Where the drop falls", "The recommended row, by true class."),
)


def render_html(report: Report) -> str:
    """Render the whole `report.html`: summary, charts, table, and how it was measured."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup, escape

    def code(text: str) -> Markup:
        """Mark words between backticks as code."""
        return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(escape_lines(text)))))

    environment = Environment(
        loader=PackageLoader("benchmarks.render", "."),
        autoescape=True,
        trim_blocks=True,
        finalize=_written,
    )
    environment.filters["code"] = code
    charts = [
        {"svg": svg, "title": name, "caption": caption}
        for draw, name, caption in _CHARTS
        if (svg := draw(report)) is not None
    ]
    created = f"Measured {report.created}. " if report.created else ""
    seed = f"Seed {report.method['seed']}." if "seed" in report.method else ""
    return environment.get_template("report.html.j2").render(
        title=title_of(report),
        summary=summary(report),
        facts=_facts(report),
        charts=charts,
        columns=sections.table_columns(report),
        text_columns=sections.TEXT_COLUMNS,
        budget=budget_line(report),
        rows=[
            {"cells": sections.table_cells(report, row), "look": _look(report, row)}
            for row in report.rows
        ],
        sections=[
            {"title": "What could not be measured", "lines": sections.failures(report)},
            {"title": "Remarks", "lines": sections.remarks(report)},
            {"title": "Decisions", "lines": report.decisions},
            {"title": "Data", "lines": sections.data_facts(report)},
            {"title": "How it was measured", "lines": sections.method_facts(report)},
            {"title": "Environment", "lines": sections.environment_facts(report.environment)},
        ],
        kept=[
            {"svg": render_kept(kept), "caption": describe_kept(kept)}
            for kept in kept_of(report.family)
        ],
        command=report.command,
        footer=f"{created}{seed}",
    )


def _written(value: Any) -> Any:
    """Return what stands in the page for a value: text without control characters."""
    return escape_lines(value) if type(value) is str else value


def _facts(report: Report) -> list[dict[str, Any]]:
    """Return the recommended row in four numbers."""
    if report.recommended is None or report.recommended == report.reference:
        return []
    row, reference = report.row(report.recommended), report.row(report.reference)
    facts = []
    if row.sure_speedup is not None and row.end_to_end_ms and reference.end_to_end_ms:
        value, interval = ratio(row.sure_speedup)
        facts.append(_fact(value, "as fast", f"95% interval {interval}"))
        facts.append(
            _fact(
                f"{milliseconds(row.end_to_end_ms.p50)} ms",
                "from text to label",
                f"instead of {milliseconds(reference.end_to_end_ms.p50)} ms (median)",
            )
        )
    if row.drop is not None and row.metric is not None:
        value, interval = drop_points(row.drop)
        certain = row.drop.low < row.drop.high
        detail = f"95% interval {interval}" if certain else "right on the same examples"
        detail += f"; {row.metric.name} {row.metric.value:.1f}"
        facts.append(_fact(value, f"points of {row.metric.name} lost", detail))
    if row.size_bytes is not None and reference.size_bytes is not None:
        before = megabytes(reference.size_bytes)
        facts.append(_fact(f"{megabytes(row.size_bytes)} MB", "on disk", f"instead of {before} MB"))
    return facts


def _fact(value: str, what: str, detail: str) -> dict[str, str]:
    return {"value": value, "what": what, "detail": detail}


def _look(report: Report, row: Row) -> str:
    if row.error is not None:
        return "failed"
    return "recommended" if row.id == report.recommended else ""
