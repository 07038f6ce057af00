"""Prepares what there is to say of answers: classes, confusions, scores, and differing texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.differences import Difference, Differences
from benchmarks.metrics import Drop
from benchmarks.quality import Bin, Quality
from benchmarks.render.columns import Cell
from benchmarks.render.figures import (
    MISSING,
    drop_points,
    measured_by_agreement,
    metric_name,
    of_correlation,
    signed,
)
from benchmarks.render.placement import Box, text_width
from benchmarks.render.plots import (
    FONT,
    LINE,
    Curve,
    Label,
    Mark,
    Plot,
    Size,
    frame_of,
    ticks_across,
    ticks_up,
)
from benchmarks.render.rows import short_names
from benchmarks.render.scales import Scale
from benchmarks.report import Report
from benchmarks.stats import Interval, wilson_interval

__all__ = [
    "Matrix",
    "calibration_line",
    "class_columns",
    "class_rows",
    "compared_names",
    "confused",
    "differences_line",
    "matrices",
    "reliability_plot",
    "said",
    "threshold_rows",
]

_CLASS_COLUMNS = ("examples", "precision %", "recall %", "F1 %", "drop, points (95%)")
_MOST_CLASSES, _MOST_CONFUSIONS = 9, 15
_FEWEST = 5  # decisions in a bin that is drawn: of fewer, the share of right ones is chance
_LOOKS = ("reference", "recommended")  # of the original and the other model


@dataclass(frozen=True)
class Matrix:
    """What one model takes classes for.

    Attributes:
        title: The model's name.
        names: Of the classes.
        rows: For each class, how often it was taken for which, and that as a share (0 to 1).
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[tuple[int, float]]]


def compared_names(report: Report) -> tuple[str, str] | None:
    """Return what the original and the model that it is compared with are called, or None."""
    if report.compared is None:
        return None
    return "original", short_names(report)[report.compared]


def class_columns(report: Report) -> tuple[str, ...]:
    """Return the headings of `class_rows`."""
    first = "the original's class" if measured_by_agreement(report) else "class"
    return (first, *_CLASS_COLUMNS)


def class_rows(report: Report) -> list[list[Cell]]:
    """Return a line for each class: the compared model's figures, the original's beside them.

    Where the original's answers are the labels, its own figures say nothing.
    """
    both = _both(report)
    if both is None or report.compared is None:
        return []
    before, after = ({part.label: part for part in quality.classes} for quality in both)
    drops = {part.label: part for part in report.row(report.compared).by_class}
    alone = measured_by_agreement(report)
    rows = []
    for label in dict.fromkeys((*before, *after)):
        first, second, lost = before.get(label), after.get(label), drops.get(label)
        n = next((part.n for part in (second, first) if part is not None), 0)
        cells = [Cell(label), Cell(f"{n:,}", key=n)]
        for name in ("precision", "recall", "f1"):
            old, new = (None if part is None else getattr(part, name) for part in (first, second))
            detail = "" if old is None or alone else f"original {old:.1f}"
            cells.append(Cell(MISSING if new is None else f"{new:.1f}", detail, new))
        if lost is None:
            cells.append(Cell(MISSING))
        elif lost.low is None or lost.high is None:
            cells.append(Cell(signed(lost.value), key=lost.value))
        else:
            drop = Drop(lost.value, lost.low, lost.high, 1.0)
            cells.append(Cell(*drop_points(drop), key=lost.value))
        rows.append(cells)
    return rows


def matrices(report: Report) -> list[Matrix]:
    """Return what both models take classes for; none where these are too many for a table."""
    both, names = _both(report), compared_names(report)
    if both is None or names is None or not 2 <= len(both[0].names) <= _MOST_CLASSES:
        return []
    found = []
    for title, quality in zip(names, both, strict=True):
        counts = [[0] * len(quality.names) for _ in quality.names]
        for true, called, count in quality.confusions:
            counts[true][called] += count
        rows = [[(count, count / max(1, sum(own))) for count in own] for own in counts]
        found.append(Matrix(title, quality.names, rows))
    return found[1:] if measured_by_agreement(report) else found


def confused(report: Report) -> list[tuple[str, str, int, int]]:
    """Return what is mistaken most often, where classes are too many for a table.

    Returns:
        Class, what it was taken for, and how often by the original and by the other model.
    """
    both = _both(report)
    if both is None or len(both[0].names) <= _MOST_CLASSES:
        return []
    counts: dict[tuple[int, int], list[int]] = {}
    for place, quality in enumerate(both):
        for true, called, count in quality.confusions:
            if true != called:
                counts.setdefault((true, called), [0, 0])[place] += count
    worst = sorted(counts.items(), key=lambda item: (-max(item[1]), -sum(item[1])))
    names = both[0].names
    return [
        (names[true], names[called], before, after)
        for (true, called), (before, after) in worst[:_MOST_CONFUSIONS]
    ]


def reliability_plot(report: Report, size: Size) -> Plot | None:
    """Draw the share of right answers by score, of both models; None where there are no scores."""
    both, names = _both(report), compared_names(report)
    if both is None or names is None:
        return None
    bins = [[part for part in quality.bins if part.n >= _FEWEST] for quality in both]
    if not all(bins):
        return None
    parts = [part for own in bins for part in own]
    least = min(part.confidence for part in parts)
    lowest = min(least, *(_chance(part).low for part in parts))
    frame = frame_of(size, [0.25])
    x = Scale(max(0.0, least - 0.03), 1.0, frame.left, frame.right)
    y = Scale(max(0.0, lowest - 0.03), 1.0, frame.bottom, frame.top)
    marks = [
        _bin_mark(part, name, look, x, y)
        for own, name, look in zip(bins, names, _LOOKS, strict=True)
        for part in own
    ]
    return Plot(
        size=size,
        frame=frame,
        description="Share of right answers by score, of both models.",
        x_title="score",
        y_title="share that is right",
        x_ticks=ticks_across(x),
        y_ticks=ticks_up(y),
        curves=[
            Curve([(x(x.low), y(x.low)), (x(1.0), y(1.0))], "diagonal"),
            *(
                Curve([(x(part.confidence), y(part.right)) for part in own], look)
                for own, look in zip(bins, _LOOKS, strict=True)
            ),
        ],
        marks=marks,
        labels=_legend(names, marks, frame),
    )


def threshold_rows(report: Report) -> list[list[Cell]]:
    """Return what both models answer, and how much of it is right, at several thresholds."""
    both = _both(report)
    if both is None or not both[0].thresholds:
        return []
    rows = []
    for first, second in zip(both[0].thresholds, both[1].thresholds, strict=False):
        cells = [Cell(f"{first.score:g}", key=first.score)]
        for each in (first, second):
            cells.append(Cell(f"{each.taken:.1%}", key=each.taken))
            right = MISSING if each.right is None else f"{each.right:.1%}"
            cells.append(Cell(right, key=each.right))
        rows.append(cells)
    return rows


def calibration_line(report: Report, score: float = 0.9) -> str:
    """Say whether a threshold still holds, and by how much scores are off; "" without scores."""
    both, names = _both(report), compared_names(report)
    if both is None or names is None or not all(quality.bins for quality in both):
        return ""
    off = " and ".join(
        f"{100 * quality.calibration_error:.1f} points ({name})"
        for name, quality in zip(names, both, strict=True)
    )
    line = f"On average, scores are off by {off}: the expected calibration error."
    at = [
        next((part for part in quality.thresholds if part.score == score), None) for quality in both
    ]
    if at[0] is None or at[1] is None or at[0].right is None or at[1].right is None:
        return line
    return (
        f"Of what is scored {score:g} or more, the original is right on {at[0].right:.1%} "
        f"({at[0].taken:.0%} of all answers) and {names[1]} on {at[1].right:.1%} "
        f"({at[1].taken:.0%}). {line}"
    )


def differences_line(report: Report) -> str:
    """Say on how many texts the two differ, and who is right; "" where that is not known."""
    found, names = report.differences, compared_names(report)
    if found is None or names is None:
        return ""
    if not found.differing:
        return f"Both give the same answers to all {found.items:,} texts."
    first = (
        "furthest apart" if of_correlation(metric := metric_name(report)) else "most certain ones"
    )
    if measured_by_agreement(report):
        line = f"{names[1]} and the original differ on {found.differing:,} of {found.items:,} texts"
        return f"{line}. {_shown(found, first)}".strip()
    who = "only the original is right on", f"only {names[1]} on"
    if of_correlation(metric):
        # Numbers are neither right nor wrong: one is nearer.
        nearer = "nearer by rank" if metric == "Spearman" else "nearer"
        who = f"the original is {nearer} on", f"{names[1]} on"
    line = (
        f"{names[1]} and the original differ on {found.differing:,} of {found.items:,} texts: "
        f"{who[0]} {found.reference_right:,} of these, {who[1]} {found.answer_right:,}."
    )
    return f"{line} {_shown(found, first)}".strip()


def _shown(found: Differences, first: str) -> str:
    """Say how many of the differing texts the report has; "" where it has all."""
    if not found.texts:
        return "The texts are left out of this report."
    if len(found.texts) < found.differing:
        return f"The report shows {len(found.texts):,}, the {first} first."
    return ""


def said(one: Difference, *, original: bool) -> Cell:
    """Return an answer with its score, and whether it is the right one."""
    text, score = (
        (one.reference, one.reference_score) if original else (one.answer, one.answer_score)
    )
    mark = " \u2713" if text == one.label else ""
    return Cell(f"{text}{mark}", "" if score is None else f"{score:.2f}", score)


def _both(report: Report) -> tuple[Quality, Quality] | None:
    first, second = (report.quality.get(row or "") for row in (report.reference, report.compared))
    return None if first is None or second is None else (first, second)


def _bin_mark(part: Bin, name: str, look: str, x: Scale, y: Scale) -> Mark:
    tip = (
        f"{name}: {part.n:,} answers\nscore {part.confidence:.2f} on average, "
        f"{part.right:.1%} are right"
    )
    likely = _chance(part)
    up = y(likely.low), y(likely.high)
    return Mark(x(part.confidence), y(part.right), look, "", tip, up=up)


def _chance(part: Bin) -> Interval:
    """Return between which shares the right one probably is, 0 to 1."""
    return wilson_interval(round(part.right * part.n), part.n)


def _legend(names: Sequence[str], marks: Sequence[Mark], frame: Box) -> list[Label]:
    """Return the names of both curves in a corner where no point is."""
    width, height = max(text_width(name, FONT) for name in names), len(names) * LINE
    corners = [
        (frame.right - width - 8, frame.bottom - height - 6),
        (frame.left + 8, frame.top + 2),
    ]

    def covered(corner: tuple[float, float]) -> int:
        left, top = corner
        box = Box(left - 6, top - 6, left + width + 6, top + height + 6)
        ends = [(m.x, *(m.up or (m.y, m.y))) for m in marks]
        return sum(box.overlaps(Box(x, min(up), x + 0.1, max(up) + 0.1)) for x, *up in ends)

    left, top = min(corners, key=covered)
    return [
        Label(left, top + (place + 0.8) * LINE, name, look)
        for place, (name, look) in enumerate(zip(names, _LOOKS, strict=True))
    ]
