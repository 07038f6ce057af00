"""Draws speed against accuracy: the front, the budget, and every row with its intervals."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from benchmarks.render.figures import drop_points, full_name, metric_name, metric_title, ratio
from benchmarks.render.placement import Box, place_labels, shortened, text_width
from benchmarks.render.plots import (
    FONT,
    LINE,
    Band,
    Curve,
    Label,
    Mark,
    Plot,
    Size,
    frame_of,
    ticks_across,
    ticks_up,
)
from benchmarks.render.rows import look_of, short_names
from benchmarks.render.scales import Scale
from benchmarks.report import Report, Row

__all__ = ["front_plot", "front_rows"]

_RADIUS = 6.0
# Points below the original, and times the largest drop, up to which a budget's border is shown.
_NEAR, _SPREAD = 5.0, 4.0
_ORDER = ("recommended", "reference", "other", "stock")  # who chooses a label's place first


def front_rows(report: Report) -> list[Row]:
    """Return the rows that have both a ratio that may be named and a drop, the slowest first."""
    rows = [row for row in report.rows if row.sure_speedup is not None and row.drop is not None]
    return sorted(rows, key=_speed)


def front_plot(report: Report, size: Size) -> Plot | None:
    """Draw accuracy upwards and speed to the right; None where fewer than two rows have both.

    Rows that no other one beats in both are joined. The budget is an area, and what has no room for
    its name is named below the chart.
    """
    rows = front_rows(report)
    if len(rows) < 2:
        return None
    top = report.row(report.reference).metric
    full = 0.0 if top is None else top.value
    budget = _least(report, full)
    heights = [full - _lost(row) for row in rows]
    # A border far below all rows would leave them one line at the top.
    if budget is not None and full - budget <= max(_NEAR, _SPREAD * (full - min(heights))):
        heights.append(budget)
    frame = frame_of(size, heights)
    x = Scale.around([_speed(row) for row in rows], frame.left, frame.right, log=True, margin=0.12)
    y = Scale.around(heights, frame.bottom, frame.top, margin=0.15)
    marks = [_mark(report, row, full, x, y) for row in rows]
    curve = _front(rows, marks)
    band, border = _budget(report, budget, frame, x, y)
    dots = [Box(m.x - _RADIUS, m.y - _RADIUS, m.x + _RADIUS, m.y + _RADIUS) for m in marks]
    lines = [box for mark in marks for box in _whiskers(mark)] + list(_along(curve))
    note = _budget_label(report, band, frame, dots, lines)
    blocked = [*dots, *([] if note is None else [_box_of(note)])]
    names = short_names(report)
    # The most important names first.
    order = sorted(range(len(rows)), key=lambda i: _ORDER.index(marks[i].look))
    texts = [shortened(names[rows[i].id], FONT, frame.right - frame.left - 24) for i in order]
    wanted = [(text, marks[i].x, marks[i].y) for text, i in zip(texts, order, strict=True)]
    boxes = place_labels(wanted, blocked, lines, frame, size=FONT, gap=_RADIUS + 2)
    labels = [
        Label(box.left, box.bottom - 0.3 * FONT, text, marks[i].look)
        for text, i, box in zip(texts, order, boxes, strict=True)
        if box is not None
    ]
    return Plot(
        size=size,
        frame=frame,
        description=_description(report, rows, full),
        x_title="times as fast as the original",
        y_title=_y_title(report, top is not None),
        x_ticks=ticks_across(x),
        y_ticks=ticks_up(y),
        bands=[] if band is None else [Band(band, "budget")],
        curves=[*([] if border is None else [border]), Curve(curve, "front")],
        marks=marks,
        labels=[*([] if note is None else [note]), *labels],
        left_out=[
            f"{names[rows[i].id]} ({ratio(rows[i].sure_speedup)[0]}, {full - _lost(rows[i]):.1f})"
            for i, box in zip(order, boxes, strict=True)
            if box is None
        ],
    )


def _speed(row: Row) -> float:
    assert row.sure_speedup is not None  # rows of the front have one
    return row.sure_speedup.value


def _lost(row: Row) -> float:
    assert row.drop is not None  # rows of the front have one
    return row.drop.value


def _least(report: Report, full: float) -> float | None:
    """Return the least accuracy inside the budget; None where there is no budget of accuracy."""
    most = report.budget.get("max_drop")
    if most is None or report.budget.get("target_latency_ms") is not None:
        return None
    return full - float(most)


def _y_title(report: Report, known: bool) -> str:
    return metric_title(report) if known else "points against the original"


def _mark(
    report: Report, row: Row, full: float, x: Callable[[float], float], y: Callable[[float], float]
) -> Mark:
    speed, drop = row.sure_speedup, row.drop
    assert speed is not None
    assert drop is not None
    faster, lost = ratio(speed), drop_points(drop)
    accuracy = "" if row.metric is None else f", {row.metric.name} {row.metric.value:.1f}"
    return Mark(
        x=x(speed.value),
        y=y(full - drop.value),
        look=look_of(report, row),
        row=row.id,
        tip=f"{full_name(row)}\n{' '.join(faster)} as fast{accuracy}\ndrop {' '.join(lost)}",
        across=(x(speed.low), x(speed.high)) if speed.low < speed.high else None,
        up=(y(full - drop.low), y(full - drop.high)) if drop.low < drop.high else None,
    )


def _front(rows: Sequence[Row], marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """Return the places of the rows that none beats in both, from the slowest on."""
    best, found = math.inf, list[tuple[float, float]]()
    for row, mark in zip(reversed(rows), reversed(marks), strict=True):
        if _lost(row) < best:
            best = _lost(row)
            found.append((mark.x, mark.y))
    return found[::-1]


def _budget(
    report: Report, least: float | None, frame: Box, x: Scale, y: Scale
) -> tuple[Box | None, Curve | None]:
    """Return the area inside the budget, and its border."""
    target = report.budget.get("target_latency_ms")
    latency = report.row(report.reference).end_to_end_ms
    if target is not None and latency is not None:
        left = x(latency.p50 / target)
        border = Curve([(left, frame.top), (left, frame.bottom)], "budget")
        return Box(left, frame.top, frame.right, frame.bottom), border
    if least is None:
        return None, None
    band = Box(frame.left, frame.top, frame.right, y(least))
    if least < y.low:
        return band, None
    return band, Curve([(frame.left, y(least)), (frame.right, y(least))], "budget")


def _budget_label(
    report: Report, band: Box | None, frame: Box, dots: Sequence[Box], lines: Sequence[Box]
) -> Label | None:
    """Return what the area is called, where it covers no point; None where there is no room."""
    if band is None:
        return None
    target, most = (report.budget.get(key) for key in ("target_latency_ms", "max_drop"))
    text = f"inside the budget: {target:g} ms" if target is not None else "inside the budget"
    if target is None:
        text += f": {most:g} point{'' if most == 1 else 's'}"
    width = text_width(text, FONT)
    lefts = (frame.right - width - 4, frame.left + 6, (frame.left + frame.right - width) / 2)
    places = [
        Box(left, bottom - LINE, left + width, bottom)
        for bottom in (band.bottom - 4, band.top + LINE + 2)
        for left in lefts
    ]
    free = [p for p in places if p.within(band) and not any(p.overlaps(dot) for dot in dots)]
    if not free:
        return None
    best = min(free, key=lambda place: sum(place.overlaps(line) for line in lines))
    return Label(best.left, best.bottom - 0.3 * FONT, text, "budget")


def _box_of(label: Label) -> Box:
    top = label.y + 0.3 * FONT - LINE
    return Box(label.x, top, label.x + text_width(label.text, FONT), top + LINE)


def _whiskers(mark: Mark) -> Iterator[Box]:
    if mark.across is not None:
        yield Box(mark.across[0], mark.y - 1, mark.across[1], mark.y + 1)
    if mark.up is not None:
        yield Box(mark.x - 1, min(mark.up), mark.x + 1, max(mark.up))


def _along(points: Sequence[tuple[float, float]]) -> Iterator[Box]:
    """Yield small boxes along a line, as slanted ones overlap with hardly anything."""
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(1, round(math.hypot(x1 - x0, y1 - y0) / 6))
        for step in range(steps + 1):
            x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
            yield Box(x - 1, y - 1, x + 1, y + 1)


def _description(report: Report, rows: Sequence[Row], full: float) -> str:
    names = short_names(report)
    points = (
        f"{names[row.id]}: {_speed(row):.1f} times as fast, {full - _lost(row):.1f}" for row in rows
    )
    return f"Speed to the right, {metric_name(report)} upwards. {'; '.join(points)}."
