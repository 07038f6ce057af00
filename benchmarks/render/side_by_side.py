"""Renders several reports on one page: what each of them recommends, beside each other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.render.bars import cold_start_bars, latency_bars, memory_bars
from benchmarks.render.columns import PER_CORE_HOUR, Cell, main_columns, more_columns
from benchmarks.render.figures import (
    MISSING,
    describe_cpu,
    full_name,
    measured_by_agreement,
    megabytes,
    signed,
)
from benchmarks.render.front import front_plot
from benchmarks.render.headline import data_name, headline, title_of
from benchmarks.render.html import page_environment, plot_in_page, table_of
from benchmarks.report import Report, Row
from runtimes.errors import UsageError

__all__ = ["merge_reports", "render_side_by_side", "said_of", "spread_lines"]

_REFERENCE = "original"
_COLUMNS = ("report", "recommended", "machine", "data", "seed", "budget", "measured")


def render_side_by_side(
    reports: Sequence[tuple[str, Report]], *, price: float | None = None
) -> str:
    """Render a page of what each report recommends.

    Args:
        reports: Two or more, each with the name that it has on the page.
        price: Of a core for an hour, in any currency; the page asks for it where it is None.

    Raises:
        UsageError: Fewer than two, or two have the same name.
    """
    names = [name for name, _ in reports]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("reports side by side need two or more, each with a name of its own")
    merged = merge_reports(reports)
    charts = [
        plot_in_page(
            merged, front_plot, "Speed and accuracy", "Up is more accurate, right is faster."
        ),
        latency_bars(merged),
        memory_bars(merged),
        cold_start_bars(merged),
    ]
    more = more_columns(merged, price)
    shown = replace(merged, rows=tuple(row for row in merged.rows if row.id != _REFERENCE))
    tables = [table_of(shown, main_columns(merged), "Recommended models", "few")]
    titles = list(dict.fromkeys(title_of(report) for _, report in reports))
    return str(
        page_environment()
        .get_template("side_by_side.html.j2")
        .render(
            title=titles[0] if len(titles) == 1 else f"{len(reports)} reports side by side",
            heads=[
                {"name": name, "line": headline(report) or "No model is recommended."}
                for name, report in reports
            ],
            warnings=_warnings(reports),
            spread=spread_lines(reports),
            charts=[chart for chart in charts if chart is not None],
            tables=[*tables, *([table_of(shown, more, "More figures", "many")] if more else [])],
            columns=_COLUMNS,
            made=[_made(name, report) for name, report in reports],
            per_core_hour=PER_CORE_HOUR,
            price=price,
        )
    )


def merge_reports(reports: Iterable[tuple[str, Report]]) -> Report:
    """Return one report with the row that each of several recommends, called as the report is.

    Its reference is the first one's. Where reports are of different data, accuracies are left out
    of what is drawn: drops are comparable, these are not.
    """
    rows, samples = list[Row](), dict[str, Any]()
    reports = list(reports)
    first = reports[0][1]
    reference = replace(first.row(first.reference), id=_REFERENCE, model="original")
    if len({report.data.get("fingerprint") for _, report in reports}) > 1:
        reference = replace(reference, metric=None)
    for name, report in reports:
        if report.recommended is None:
            of = report.row(report.reference)
            row = Row(name, name, of.runtime, of.device, "", error="no model met the budget")
        else:
            row = replace(report.row(report.recommended), id=name, model=name)
            if report.recommended in report.samples:
                samples[name] = report.samples[report.recommended]
        rows.append(row)
    return Report(
        environment=first.environment,
        reference=_REFERENCE,
        rows=(reference, *rows),
        data=first.data,
        samples=samples,
    )


def spread_lines(reports: Sequence[tuple[str, Report]]) -> list[str]:
    """Say how far figures of the same data and machine differ, such as those of several seeds.

    Returns:
        Sentences; none where the reports are not of the same data, or fewer than two recommend
        something.
    """
    same = {report.data.get("fingerprint") for _, report in reports}
    rows = [
        report.row(report.recommended) for _, report in reports if report.recommended is not None
    ]
    if len(same) > 1 or len(rows) < 2:
        return []
    found = []
    speeds = [row.sure_speedup.value for row in rows if row.sure_speedup is not None]
    if len(speeds) > 1:
        least, most = min(speeds), max(speeds)
        found.append(f"Speed-up: {least:.1f} to {most:.1f} times, {_mean(speeds):.1f} on average.")
    drops = [row.drop.value for row in rows if row.drop is not None]
    if len(drops) > 1:
        found.append(
            f"Drop: {signed(min(drops))} to {signed(max(drops))} points, {signed(_mean(drops))} on "
            "average."
        )
    sizes = [row.size_bytes for row in rows if row.size_bytes is not None]
    if len(sizes) > 1:
        found.append(f"Size: {megabytes(min(sizes))} to {megabytes(max(sizes))} MB.")
    return found


def said_of(name: str, report: Report) -> dict[str, Any]:
    """Return what a program wants to know of a report: unrounded, None where it is not known."""
    row = None if report.recommended is None else report.row(report.recommended)
    speedup = None if row is None else row.sure_speedup
    latency = None if row is None else row.end_to_end_ms
    drop = report.told_drop if row is None or row.id != report.reference else row.drop
    return {
        "name": name,
        "title": title_of(report),
        "headline": headline(report),
        "recommended": None if row is None else full_name(row),
        "speedup": None if speedup is None else speedup.value,
        "p50_ms": None if latency is None else latency.p50,
        "drop": None if drop is None else drop.value,
        "size_bytes": None if row is None else row.size_bytes,
        "seed": report.data.get("seed"),
        "created": report.created,
    }


def _made(name: str, report: Report) -> list[Cell]:
    """Return how a report came about."""
    row = None if report.recommended is None else report.row(report.recommended)
    budget, latency = (report.budget.get(key) for key in ("max_drop", "target_latency_ms"))
    asked = MISSING if budget is None else f"{budget:g} points"
    if (agreed := report.budget.get("min_agreement")) is not None:
        asked = f"{agreed:g}% agreement"
    return [
        Cell(name),
        Cell(MISSING if row is None else full_name(row)),
        Cell(describe_cpu(report.environment)),
        Cell(data_name(str(report.data.get("source") or MISSING))),
        Cell(str(report.data.get("seed", report.method.get("seed", MISSING)))),
        Cell(asked if latency is None else f"{latency:g} ms"),
        Cell((report.created or MISSING)[:16].replace("T", " ")),
    ]


def _warnings(reports: Sequence[tuple[str, Report]]) -> list[str]:
    """Say what is not to be compared."""
    found = []
    if len({describe_cpu(report.environment) for _, report in reports}) > 1:
        found.append(
            "The reports are of different machines: how many times as fast a model is can be "
            "compared with care, milliseconds and memory cannot."
        )
    if len({measured_by_agreement(report) for _, report in reports}) > 1:
        found.append(
            "Some reports are of labelled texts, some of agreement with the original: their drops "
            "cannot be compared."
        )
    if len({report.data.get("fingerprint") for _, report in reports}) > 1:
        found.append(
            "The reports are of different data: accuracies cannot be compared, drops with care."
        )
    for name, report in reports:
        if report.recommended is not None and (doubt := report.row(report.recommended).doubt):
            found.append(f"{name}: its ratio is not named: {doubt}.")
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
