"""Renders a report as one HTML file that needs no network: for manager, engineer and phone."""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.agreement import measures_agreement
from benchmarks.render import answers, sections
from benchmarks.render.architecture import describe_kept, kept_of
from benchmarks.render.bars import (
    class_bars,
    cold_start_bars,
    latency_bars,
    memory_bars,
    size_bars,
)
from benchmarks.render.columns import (
    PER_CORE_HOUR,
    Cell,
    Column,
    how_run,
    main_columns,
    mark_of,
    more_columns,
)
from benchmarks.render.curves import length_plot
from benchmarks.render.figures import (
    agreement,
    budget_line,
    doubts_and_advice,
    drop_points,
    lost_or_gained,
    measured_by_agreement,
    megabytes,
    milliseconds,
    of_correlation,
    ratio,
    result,
)
from benchmarks.render.front import front_plot
from benchmarks.render.headline import headline, title_of
from benchmarks.render.plots import DESK, PHONE, Plot, Size, draw
from benchmarks.report import Report, Row
from runtimes.escaping import escape_lines

__all__ = [
    "differences_in_page",
    "front_in_page",
    "page_environment",
    "plot_in_page",
    "render_html",
    "table_of",
]

_TEXTS = 8  # that are shown at once
_RELIABILITY = (
    "On the dotted line scores are as good as they say: of answers scored 0.9, nine of ten are "
    "right. Below it they promise too much. Lines through a point are 95% intervals."
)
_FRONT = (
    "right is faster; lines through a point are 95% intervals. The line joins what nothing beats "
    "in both."
)


def render_html(report: Report, *, price: float | None = None) -> str:
    """Render the whole `report.html`: summary, charts, tables, and how it was measured.

    Args:
        report: What was measured.
        price: Of a core for an hour, in any currency; the page asks for it where it is None.
    """
    created = f"Measured {report.created}. " if report.created else ""
    seed = f"Seed {report.method['seed']}." if "seed" in report.method else ""
    charts = [
        front_in_page(report),
        plot_in_page(report, length_plot, "Latency by length", "One input at a time."),
        latency_bars(report),
        memory_bars(report),
        cold_start_bars(report),
        size_bars(report),
    ]
    return str(
        page_environment()
        .get_template("report.html.j2")
        .render(
            title=title_of(report),
            doubts=doubts_and_advice(report),
            headline=headline(report),
            result=result(report),
            facts=_facts(report),
            budget=budget_line(report),
            tables=_tables(report, price),
            per_core_hour=PER_CORE_HOUR,
            price=price,
            charts=[chart for chart in charts if chart is not None],
            **_answers(report),
            failures=sections.failures(report),
            remarks=sections.remarks(report),
            decisions=report.decisions,
            data=sections.data_facts(report),
            method=sections.method_facts(report),
            environment=sections.environment_facts(report.environment),
            kept=_kept(report),
            next_steps=report.next_steps,
            beside=bool(report.family) and report.recommended is not None,
            command=report.command,
            footer=f"{created}{seed}",
        )
    )


def _answers(report: Report) -> dict[str, Any]:
    """Return what the page says of answers, beyond how many are right."""
    names = list(answers.compared_names(report) or ())
    first, second = names or ("", "")
    return {
        "names": names,
        "differences": differences_in_page(report),
        "agreement": measured_by_agreement(report),
        "class_columns": answers.class_columns(report),
        "classes": answers.class_rows(report),
        "drops": class_bars(report),
        "matrices": answers.matrices(report),
        "confused": [
            [
                Cell(true),
                Cell(called),
                Cell(f"{before:,}", key=before),
                Cell(f"{after:,}", key=after),
            ]
            for true, called, before, after in answers.confused(report)
        ],
        "reliability": plot_in_page(report, answers.reliability_plot, "Reliability", _RELIABILITY),
        "calibration": answers.calibration_line(report),
        "threshold_columns": [
            *("score", f"{first} answers", "of these right"),
            *(f"{second} answers", "of these right"),
        ],
        "thresholds": answers.threshold_rows(report),
    }


def differences_in_page(report: Report) -> dict[str, Any] | None:
    """Return the texts on which the two models differ, a few first, for the macro `texts`."""
    line, found = answers.differences_line(report), report.differences
    if not line or found is None:
        return None
    texts = [
        {
            "text": one.text,
            "pair": one.pair,
            "label": one.label,
            "cells": [answers.said(one, original=original) for original in (True, False)],
        }
        for one in found.texts
    ]
    return {"line": line, "first": texts[:_TEXTS], "rest": texts[_TEXTS:]}


def front_in_page(report: Report) -> dict[str, Any] | None:
    """Return the chart of speed and accuracy, or of agreement."""
    up = "nearer to the original" if measured_by_agreement(report) else "more accurate"
    return plot_in_page(
        report, front_plot, f"Speed and {_judged_by(report)}", f"Up is {up}, {_FRONT}"
    )


def _judged_by(report: Report) -> str:
    return "agreement" if measured_by_agreement(report) else "accuracy"


def page_environment() -> Any:
    """Return jinja2 with the templates of pages, which escape what they are given."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup, escape

    def code(text: str) -> Markup:
        """Mark words between backticks as code."""
        return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(escape_lines(text)))))

    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0], "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_written,
    )
    environment.filters["code"] = code
    environment.filters["px"] = lambda value: f"{value:.1f}".removesuffix(".0")
    return environment


def _written(value: Any) -> Any:
    """Return what stands in the page for a value: text without control characters."""
    return escape_lines(value) if type(value) is str else value


def plot_in_page(
    report: Report, plot: Callable[[Report, Size], Plot | None], title: str, caption: str
) -> dict[str, Any] | None:
    """Return a chart in both sizes, and what had no room for a label in each."""
    from markupsafe import Markup

    plots = [drawn for size in (PHONE, DESK) if (drawn := plot(report, size)) is not None]
    if not plots:
        return None
    left_out = {drawn.size.look: drawn.left_out for drawn in plots if drawn.left_out}
    return {
        "title": title,
        "caption": caption,
        "svg": Markup(draw(*plots)),  # our own template, which escapes
        "left_out": left_out,
    }


def _tables(report: Report, price: float | None) -> list[dict[str, Any]]:
    """Return the table that decides, and the one with all else."""
    main, more = main_columns(report), more_columns(report, price)
    tables = [table_of(report, main, f"Speed and {_judged_by(report)}", "few")]
    return tables + ([table_of(report, more, "More figures", "many")] if more else [])


def table_of(report: Report, columns: list[Column], title: str, look: str) -> dict[str, Any]:
    """Return a table with a line for each row, for the macro `rows`."""
    return {
        "title": title,
        "look": look,
        "columns": [column.title for column in columns],
        "rows": [
            {
                "id": row.id,
                "model": row.model,
                "how": how_run(row),
                "mark": mark_of(report, row),
                "look": _look(report, row),
                "cells": [column.cell(row) for column in columns],
            }
            for row in report.rows
        ],
    }


def _look(report: Report, row: Row) -> str:
    if row.error is not None:
        return "failed"
    return "recommended" if row.id == report.recommended else ""


def _kept(report: Report) -> list[dict[str, Any]]:
    """Return what pruning left of each member, a row a layer of the original."""
    found = []
    for kept in kept_of(report.family):
        widest = max(kept.all_neurons)
        layers = []
        for layer, heads in enumerate(kept.heads):
            left, all_neurons = kept.neurons[layer], kept.all_neurons[layer]
            layers.append(
                {
                    "heads": [
                        kept.head_strength(layer, head)
                        if heads is not None and head in heads
                        else None
                        for head in range(kept.all_heads[layer])
                    ],
                    "full": 100 * all_neurons / widest,
                    "share": 100 * left / all_neurons,
                    "strength": kept.neuron_strength(layer),
                    "count": "removed" if heads is None else f"{left:,} of {all_neurons:,}",
                }
            )
        caption = describe_kept(kept).removeprefix(f"{kept.name}: ")
        found.append(
            {"title": f"{kept.name}: {kept.description}", "caption": caption, "layers": layers}
        )
    return found


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
                "from text to answer",
                f"instead of {milliseconds(reference.end_to_end_ms.p50)} ms (median)",
            )
        )
    if (metric := row.metric) is not None and measures_agreement(metric):
        value, on = agreement(row)
        facts.append(_fact(value, "agreement with the original", f"{on}; {metric.n:,} texts"))
    elif (drop := report.told_drop) is not None and row.metric is not None:
        _, interval = drop_points(drop)
        certain = drop.low < drop.high
        detail = f"drop: 95% interval {interval}" if certain else "right on the same examples"
        if report.crossed is not None:
            detail += ", cross-fitted"
        detail += f"; {row.metric.name} {row.metric.value:.1f}"
        # Which correlation stands below it.
        of = "correlation" if of_correlation(row.metric.name) else row.metric.name
        what = f"points of {of} {lost_or_gained(drop.value)}"
        facts.append(_fact(f"{abs(drop.value):.1f}", what, detail))
    if row.size_bytes is not None and reference.size_bytes is not None:
        before = megabytes(reference.size_bytes)
        facts.append(_fact(f"{megabytes(row.size_bytes)} MB", "on disk", f"instead of {before} MB"))
    return facts


def _fact(value: str, what: str, detail: str) -> dict[str, str]:
    return {"value": value, "what": what, "detail": detail}
