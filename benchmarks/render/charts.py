"""Draws charts of a report as SVG with the page's colours, light or dark.

They are drawn by matplotlib in placeholder colours, which are then exchanged for the page's CSS
variables (`--ink`, `--quiet`, `--line`, `--accent`, `--mark`).
"""

import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.render.figures import runtime_name
from benchmarks.report import Report, Row
from runtimes.escaping import escape_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["class_chart", "front_chart", "latency_chart", "length_chart"]

# Exchanged for CSS variables: none of them is a colour that matplotlib uses by itself.
_INK, _QUIET, _LINE, _ACCENT, _MARK = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
_VARIABLES = {
    _INK: "var(--ink)",
    _QUIET: "var(--quiet)",
    _LINE: "var(--line)",
    _ACCENT: "var(--accent)",
    _MARK: "var(--mark)",
}
_WIDTH, _ROW_HEIGHT = 5.8, 0.3  # inches
_HEIGHT = 3.8  # of charts without a row for each model
_MOST_CLASSES, _LENGTH_BINS = 16, 8


def front_chart(report: Report) -> str | None:
    """Draw speed-up against drop, each with its interval; None where no row has both."""
    rows = [row for row in report.rows if row.sure_speedup is not None and row.drop is not None]
    if len(rows) < 2:
        return None
    figure, axes = _axes(_HEIGHT)
    names = _names(report)
    # Neighbours on the axis of speed get their names above and below in turns.
    rows.sort(key=lambda row: row.sure_speedup.value if row.sure_speedup is not None else 0.0)
    for place, row in enumerate(rows):
        speed, lost = row.sure_speedup, row.drop
        assert speed is not None
        assert lost is not None
        chosen = row.id == report.recommended
        axes.errorbar(
            speed.value,
            lost.value,
            xerr=[[speed.value - speed.low], [speed.high - speed.value]],
            yerr=[[lost.value - lost.low], [lost.high - lost.value]],
            fmt="o",
            color=_colour(report, row),
            elinewidth=0.8,
            alpha=1 if chosen else 0.8,
            markersize=8 if chosen else 5,
            zorder=3 if chosen else 2,
        )
        offset = (4, 5 if place % 2 else -11)
        _annotate(axes, names[row.id], (speed.value, lost.value), offset, _colour(report, row))
    budget = report.budget.get("max_drop")
    if budget is not None and report.budget.get("target_latency_ms") is None:
        axes.axhline(budget, color=_MARK, linestyle="--", linewidth=1)
        at_right = {"xycoords": ("axes fraction", "data"), "ha": "right"}
        _annotate(axes, "budget", (1, budget), (-4, 3), _MARK, **at_right)
    axes.set_xscale("log")
    _plain_ticks(axes, [row.sure_speedup.value for row in rows if row.sure_speedup is not None])
    axes.set_xlabel("times as fast as the reference (logarithmic)")
    axes.set_ylabel("points lost")
    return _svg(figure, "Speed-up and drop of every row, with 95% intervals")


def latency_chart(report: Report) -> str | None:
    """Draw the distribution of each row's timings; None where nothing was timed.

    Rows with rounds that others disturbed are left out.
    """
    rows = [row for row in report.rows if _timed_quietly(report, row)]
    if not rows:
        return None
    figure, axes = _axes(0.9 + _ROW_HEIGHT * len(rows))
    timings = [np.ravel(report.samples[row.id]["end_to_end_ms"]) for row in rows]
    boxes = axes.boxplot(
        timings,
        orientation="horizontal",
        whis=(1, 99),
        showfliers=False,
        widths=0.55,
        patch_artist=True,
        medianprops={"color": _INK},
        whiskerprops={"color": _QUIET},
        capprops={"color": _QUIET},
    )
    for row, box in zip(rows, boxes["boxes"], strict=True):
        box.set(facecolor=_colour(report, row), edgecolor=_QUIET, alpha=0.6)
    _name_rows(axes, report, rows)
    axes.set_xscale("log")
    _plain_ticks(axes, [float(value) for t in timings for value in np.percentile(t, (1, 99))])
    axes.set_xlabel("ms, text to label (whiskers: 1st and 99th percentile)")
    return _svg(figure, "Distribution of the latencies of every row")


def length_chart(report: Report) -> str | None:
    """Draw the median latency by the length of the text; None where lengths are not known.

    By tokens from 8 on where that was measured; else by characters, on the data's own lengths.
    """
    measured = any(row.by_length for row in report.rows)
    curves = {
        row.id: [(point.tokens, point.p50_ms) for point in row.by_length]
        if measured
        else _by_characters(report, row)
        for row in report.rows
    }
    rows = [row for row in report.rows if len(curves[row.id]) > 1]
    if not rows:
        return None
    figure, axes = _axes(_HEIGHT)
    names = _names(report)
    for row in rows:
        lengths, medians = zip(*curves[row.id], strict=True)
        strong = row.id in (report.recommended, report.reference)
        colour = _colour(report, row)
        axes.plot(lengths, medians, "o-", markersize=3, color=colour, linewidth=2 if strong else 1)
        _annotate(axes, names[row.id], (lengths[-1], medians[-1]), (5, -3), colour)
    axes.set_yscale("log")
    if measured:
        axes.set_xscale("log")
        _plain_ticks(axes, [float(x) for row in rows for x, _ in curves[row.id]])
    axes.margins(x=0.15)
    _plain_ticks(axes, [float(value) for value in axes.get_ylim()], vertical=True)
    axes.set_xlabel("tokens of the text" if measured else "characters of the text")
    axes.set_ylabel("median ms (logarithmic)")
    return _svg(figure, "Median latency by the length of the text")


def _by_characters(report: Report, row: Row) -> list[tuple[float, float]]:
    """Return medians (characters, ms) of bins that hold equally many of the row's timings."""
    samples = report.samples.get(row.id, {})
    if "characters" not in samples or not _timed_quietly(report, row):
        return []
    characters, timings = np.ravel(samples["characters"]), np.ravel(samples["end_to_end_ms"])
    edges = np.unique(np.quantile(characters, np.linspace(0, 1, _LENGTH_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, characters, side="right") - 1, 0, len(edges) - 2)
    return [
        (float(np.median(characters[bins == i])), float(np.median(timings[bins == i])))
        for i in np.unique(bins)
    ]


def _timed_quietly(report: Report, row: Row) -> bool:
    return row.id in report.samples and not report.samples[row.id].get("disturbed")


def class_chart(report: Report) -> str | None:
    """Draw the recommended row's drop by class; None where nothing is recommended or lost."""
    if report.recommended is None:
        return None
    classes = sorted(report.row(report.recommended).by_class, key=lambda c: -abs(c.value))
    classes = classes[:_MOST_CLASSES]
    if not any(part.value for part in classes):
        return None
    classes.sort(key=lambda part: part.value)
    figure, axes = _axes(0.9 + _ROW_HEIGHT * len(classes))
    places = range(len(classes))
    axes.barh(
        places,
        [part.value for part in classes],
        color=[_MARK if part.value > 0 else _ACCENT for part in classes],
        height=0.6,
    )
    axes.axvline(0, color=_QUIET, linewidth=1)
    axes.set_yticks(
        list(places),
        [f"{escape_line(part.label)} ({part.n})" for part in classes],
        parse_math=False,
    )
    axes.set_xlabel("points lost in the class (its examples in brackets)")
    return _svg(figure, "Points lost by class")


def _axes(height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.grid(color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_QUIET, labelcolor=_QUIET, labelsize=9)
    axes.xaxis.label.set(color=_QUIET, fontsize=9)
    axes.yaxis.label.set(color=_QUIET, fontsize=9)
    for name, spine in axes.spines.items():
        spine.set_color(_LINE)
        spine.set_visible(name in ("left", "bottom"))
    return figure, axes


def _annotate(
    axes: "Axes",
    text: str,
    point: tuple[float, float],
    offset: tuple[float, float],
    colour: str,
    **more: Any,
) -> None:
    axes.annotate(
        text,
        point,
        xytext=offset,
        textcoords="offset points",
        parse_math=False,
        fontsize=8,
        color=colour,
        **more,
    )


def _plain_ticks(axes: "Axes", values: Sequence[float], *, vertical: bool = False) -> None:
    """Label a logarithmic axis by 1, 2, 5, 10 ... instead of powers of ten."""
    from matplotlib.ticker import NullFormatter, NullLocator

    low, high = min(values), max(values)
    steps = [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        for factor in (1, 2, 5)
    ]
    shown = [step for step in steps if 0.7 * low <= step <= 1.4 * high]
    axis = axes.yaxis if vertical else axes.xaxis
    axis.set_ticks(shown, [f"{step:g}" for step in shown])
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _name_rows(axes: "Axes", report: Report, rows: Sequence[Row]) -> None:
    names = _names(report)
    axes.set_yticks(range(1, len(rows) + 1), [names[row.id] for row in rows], parse_math=False)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(_colour(report, row))
    axes.invert_yaxis()


def _colour(report: Report, row: Row) -> str:
    if row.id == report.recommended:
        return _ACCENT
    if row.id == report.reference:
        return _INK
    return _MARK if row.id.startswith("stock-") else _QUIET


def _names(report: Report) -> dict[str, str]:
    """Name rows: `x2.1` for `x2.1: 6 layers, 30 heads`, `stock int8` for a stock export; with the
    runtime where several rows but this one were to be called the same."""
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


def _svg(figure: "Figure", description: str) -> str:
    """Return the figure for the page: scalable, described, in the page's colours and type."""
    import matplotlib

    settings: dict[str, Any] = {"svg.fonttype": "none", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
