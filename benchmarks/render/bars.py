"""Prepares charts with a line for each row: the page draws them as boxes of their own widths.

What is text stays text, and no label can cover another one, however narrow the page is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.render.figures import (
    full_name,
    median,
    megabytes,
    milliseconds,
    rare,
    signed,
    whole,
)
from benchmarks.render.rows import look_of, quiet_timings, short_names
from benchmarks.render.scales import Scale
from benchmarks.report import Report, Row

__all__ = [
    "Bar",
    "Bars",
    "class_bars",
    "cold_start_bars",
    "latency_bars",
    "memory_bars",
    "size_bars",
]

_MOST_CLASSES = 16


@dataclass(frozen=True)
class Bar:
    """One line of a chart; places are percent of the width.

    Attributes:
        name: What it is of.
        value: Its figure, in words.
        left: Where the bar begins.
        right: Where it ends.
        look: A class of the page, see `benchmarks.render.rows`.
        row: Id of the row, "" where it is of none.
        tip: All that is known of it, in lines.
        thin: Ends of a thin line behind the bar; None: it has none.
        tick: Place of a stroke on the bar; None likewise.
        parts: Ends and class of each part that the bar consists of; none: it is of one piece.
        note: Below the bar.
    """

    name: str
    value: str
    left: float
    right: float
    look: str
    row: str = ""
    tip: str = ""
    thin: tuple[float, float] | None = None
    tick: float | None = None
    parts: Sequence[tuple[float, float, str]] = ()
    note: str = ""


@dataclass(frozen=True)
class Bars:
    """A chart with a line for each row.

    Attributes:
        title: Its heading.
        caption: How to read it.
        bars: The lines.
        ticks: Places (percent) and texts of an axis below; empty where values say enough.
        zero: Place of a line through all bars; None: there is none.
    """

    title: str
    caption: str
    bars: Sequence[Bar]
    ticks: Sequence[tuple[float, str]] = ()
    zero: float | None = None


def latency_bars(report: Report) -> Bars | None:
    """Return the distribution of each row's timings; None where nothing was timed.

    Rows with rounds that others disturbed are left out. A line ends at the 90th percentile where
    the 99th is noise.
    """
    timed = [(row, t) for row in report.rows if (t := quiet_timings(report, row)) is not None]
    if not timed:
        return None
    quantiles = [np.percentile(t, (1, 25, 50, 75, _most(row))).tolist() for row, t in timed]
    scale = Scale.around([value for q in quantiles for value in q], 0.0, 100.0, log=True)
    names = short_names(report)
    bars = []
    for (row, timings), (least, low, middle, high, most) in zip(timed, quantiles, strict=True):
        last = f"p{_most(row)}"
        bars.append(
            Bar(
                name=names[row.id],
                value=f"{median(row.end_to_end_ms)} ms",
                left=scale(low),
                right=scale(high),
                look=look_of(report, row),
                row=row.id,
                tip=f"{full_name(row)}\nmedian {milliseconds(middle)} ms\nhalf of "
                f"{len(timings):,} timings: {milliseconds(low)} to {milliseconds(high)} ms\n"
                f"p1 to {last}: {milliseconds(least)} to {milliseconds(most)} ms",
                thin=(scale(least), scale(most)),
                tick=scale(middle),
            )
        )
    ticks = [(at, f"{value:g}") for value in scale.ticks(18) if 3 < (at := scale(value)) < 97]
    return Bars(
        "Latency",
        "Milliseconds, text to answer, one input at a time. Boxes hold half of the timings; thin "
        "lines end at the 1st and the 99th percentile (the 90th where that is noise).",
        bars,
        ticks,
    )


def memory_bars(report: Report) -> Bars | None:
    """Return the peak memory of each row's process; None where it was not measured."""
    return _from_zero(
        report,
        "Memory",
        "MB: the peak of a process that answers single inputs; Python, library, model and "
        "tokenizer.",
        lambda row: row.rss_bytes,
        lambda row: f"{megabytes(row.rss_bytes)} MB",
    )


def cold_start_bars(report: Report) -> Bars | None:
    """Return the time of each row to its first answer; None where it was not measured."""
    return _from_zero(
        report,
        "Cold start",
        "Milliseconds from starting a process to its first answer.",
        lambda row: row.cold_start_ms,
        lambda row: f"{whole(row.cold_start_ms)} ms",
    )


def size_bars(report: Report) -> Bars | None:
    """Return what the bytes of rows are for; None where that is known of none but one."""
    rows = [row for row in report.rows if report.sizes.get(row.id)]
    if len(rows) < 2:
        return None
    sizes = {row.id: report.sizes[row.id] for row in rows}
    most, names = max(sum(parts.values()) for parts in sizes.values()), short_names(report)
    bars = []
    for row in rows:
        ends, end = list[tuple[float, float, str]](), 0.0
        for name, size in sizes[row.id].items():
            ends.append((end, end + 100 * size / most, f"part-{name}"))
            end = ends[-1][1]
        told = [f"{name} {megabytes(size)}" for name, size in sizes[row.id].items()]
        bars.append(
            Bar(
                name=names[row.id],
                value=f"{megabytes(sum(sizes[row.id].values()))} MB",
                left=0.0,
                right=end,
                look=look_of(report, row),
                row=row.id,
                tip="\n".join([full_name(row), *(f"{each} MB" for each in told)]),
                parts=ends,
                note=", ".join(told),
            )
        )
    return Bars(
        "What takes the space",
        "MB of weights, of the graph, and of the tokenizer beside them, in the order that stands "
        "below each bar.",
        bars,
    )


def class_bars(report: Report) -> Bars | None:
    """Return the recommended row's drop by class; None where nothing is recommended or lost.

    The classes are those with the largest changes.
    """
    if report.recommended is None:
        return None
    row = report.row(report.recommended)
    changed = [part for part in row.by_class if any((part.value, part.low, part.high))]
    classes = sorted(changed, key=lambda part: -abs(part.value))[:_MOST_CLASSES]
    if not any(part.value for part in classes):
        return None
    # What chance may have done is in the picture: one example of few looks like much otherwise.
    ends = [end for part in classes for end in (part.low, part.value, part.high) if end is not None]
    scale = Scale.around([0.0, *ends], 0.0, 100.0)
    zero = scale(0.0)
    bars = [
        Bar(
            name=f"{part.label} ({part.n:,})",
            value=signed(part.value),
            left=min(zero, scale(part.value)),
            right=max(zero, scale(part.value)),
            look="lost" if part.value > 0 else "gained",
            thin=None
            if part.low is None or part.high is None
            else (scale(part.low), scale(part.high)),
        )
        for part in sorted(classes, key=lambda part: -part.value)
    ]
    return Bars(
        "Where the drop falls",
        "Points lost in a class (its examples in brackets); to the left: gained. Thin lines are "
        "95% intervals."
        + (
            " Classes in which nothing changed are left out."
            if len(changed) < len(row.by_class)
            else ""
        ),
        bars,
        zero=zero,
    )


def _from_zero(
    report: Report,
    title: str,
    caption: str,
    measure: Callable[[Row], float | None],
    show: Callable[[Row], str],
) -> Bars | None:
    found = [(row, value) for row in report.rows if (value := measure(row)) is not None]
    if len(found) < 2:  # there is nothing to compare
        return None
    most, names = max(value for _, value in found), short_names(report)
    bars = [
        Bar(
            name=names[row.id],
            value=show(row),
            left=0.0,
            right=100 * value / most if most else 0.0,
            look=look_of(report, row),
            row=row.id,
            tip=f"{full_name(row)}\n{show(row)}",
        )
        for row, value in found
    ]
    return Bars(title, caption, bars)


def _most(row: Row) -> int:
    """Return the percentile that the row's timings can tell."""
    return 99 if rare(row.end_to_end_ms) != "\u2013" else 90
