"""Draws latency by the length of the text."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from benchmarks.render.figures import full_name, milliseconds
from benchmarks.render.placement import shortened, spread, text_width
from benchmarks.render.plots import (
    FONT,
    LINE,
    Curve,
    Label,
    Plot,
    Size,
    frame_of,
    ticks_across,
    ticks_up,
)
from benchmarks.render.rows import look_of, quiet_timings, short_names
from benchmarks.render.scales import Scale
from benchmarks.report import Report, Row

__all__ = ["length_plot"]

_BINS = 8
_WIDEST_NAME = 0.3  # of the chart
_ORDER = ("recommended", "reference", "other", "stock")  # whose names are kept

Points = Sequence[tuple[float, float]]


def length_plot(report: Report, size: Size) -> Plot | None:
    """Draw median milliseconds by the length of the text; None where lengths are not known.

    By tokens where that was measured; else by characters, on the data's own lengths.
    """
    measured = any(row.by_length for row in report.rows)
    lines = {
        row.id: [(float(point.tokens), point.p50_ms) for point in row.by_length]
        if measured
        else _by_characters(report, row)
        for row in report.rows
    }
    rows = [row for row in report.rows if len(lines[row.id]) > 1]
    if not rows:
        return None
    every = list(chain.from_iterable(lines[row.id] for row in rows))
    names, most = short_names(report), _WIDEST_NAME * size.width
    # Names stand beside the ends of the lines, as many as have room above each other.
    room = int((size.height - 70) // LINE)
    rows.sort(key=lambda row: _ORDER.index(look_of(report, row)))
    named, rest = rows[:room], rows[room:]
    texts = {row.id: shortened(names[row.id], FONT, most) for row in named}
    widest = max(text_width(text, FONT) for text in texts.values())
    frame = frame_of(size, [ms for _, ms in every], right=widest + 16)
    x = Scale.around([at for at, _ in every], frame.left, frame.right, log=measured, margin=0.03)
    y = Scale.around([ms for _, ms in every], frame.bottom, frame.top, log=True)
    ends = [y(lines[row.id][-1][1]) for row in named]
    places = spread(ends, LINE, frame.top, frame.bottom)
    return Plot(
        size=size,
        frame=frame,
        description="Median milliseconds by the length of the text, of every row.",
        x_title="tokens of the text" if measured else "characters of the text",
        y_title="ms (logarithmic)",
        x_ticks=ticks_across(x),
        y_ticks=ticks_up(y),
        curves=[
            Curve(
                [(x(at), y(ms)) for at, ms in lines[row.id]],
                look_of(report, row),
                row.id,
                _tip(row, lines[row.id], "tokens" if measured else "characters"),
            )
            for row in reversed(rows)  # the most important one on top
        ],
        labels=[
            Label(frame.right + 10, place + 0.35 * FONT, texts[row.id], look_of(report, row))
            for row, place in zip(named, places, strict=True)
        ],
        left_out=[names[row.id] for row in rest],
    )


def _tip(row: Row, points: Points, unit: str) -> str:
    figures = [f"{at:,.0f} {unit}: {milliseconds(ms)} ms" for at, ms in points]
    return "\n".join([full_name(row), *figures])


def _by_characters(report: Report, row: Row) -> Points:
    """Return medians (characters, ms) of bins that hold equally many of the row's timings."""
    timings = quiet_timings(report, row)
    if timings is None or "characters" not in report.samples[row.id]:
        return []
    characters = np.ravel(report.samples[row.id]["characters"])
    edges = np.unique(np.quantile(characters, np.linspace(0, 1, _BINS + 1)))
    bins = np.clip(np.searchsorted(edges, characters, side="right") - 1, 0, len(edges) - 2)
    return [
        (float(np.median(characters[bins == i])), float(np.median(timings[bins == i])))
        for i in np.unique(bins)
    ]
