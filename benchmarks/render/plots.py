"""Holds what is drawn in a chart with two axes, and writes it as SVG.

Each is drawn twice, for a phone and for a desk: an SVG that is scaled down has type that nobody can
read. The page shows the one that fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from benchmarks.render.placement import Box, text_width
from benchmarks.render.scales import Scale
from runtimes.escaping import escape_line, escape_lines

__all__ = [
    "DESK",
    "FONT",
    "LINE",
    "PHONE",
    "Band",
    "Curve",
    "Label",
    "Mark",
    "Plot",
    "Size",
    "Tick",
    "draw",
    "draw_file",
    "frame_of",
    "ticks_across",
    "ticks_up",
]

FONT, LINE = 12.0, 15.0
"""Pixels of a letter, and of a line of text."""
_TOP, _BOTTOM, _EDGE = 24.0, 38.0, 12.0


@dataclass(frozen=True)
class Size:
    """Pixels of a chart."""

    width: float
    height: float
    look: str


PHONE, DESK = Size(330.0, 320.0, "phone"), Size(620.0, 360.0, "desk")


@dataclass(frozen=True)
class Tick:
    """A round value on an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A point of a row, with its intervals.

    Attributes:
        x: Place.
        y: Place.
        look: A class of the page, see `benchmarks.render.rows`; it decides the shape.
        row: Id of the row.
        tip: All that is known of it, in lines.
        across: Ends of its horizontal interval; None: it has none.
        up: Ends of its vertical one.
    """

    x: float
    y: float
    look: str
    row: str
    tip: str
    across: tuple[float, float] | None = None
    up: tuple[float, float] | None = None


@dataclass(frozen=True)
class Curve:
    """Points that are joined."""

    points: Sequence[tuple[float, float]]
    look: str
    row: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Label:
    """A line of text whose box is known; `y` is its base line."""

    x: float
    y: float
    text: str
    look: str
    anchor: str = "start"


@dataclass(frozen=True)
class Band:
    """An area with a meaning."""

    box: Box
    look: str


@dataclass(frozen=True)
class Plot:
    """A chart with two axes.

    Attributes:
        size: Of all of it.
        frame: Where values are drawn.
        description: For those who cannot see it.
        x_title: Below the horizontal axis.
        y_title: Above the vertical one.
        x_ticks: Of the horizontal axis.
        y_ticks: Of the vertical one.
        bands: Areas, below everything else.
        curves: Lines.
        marks: Points.
        labels: Text within the frame.
        left_out: What had no room for a label, in words.
    """

    size: Size
    frame: Box
    description: str
    x_title: str
    y_title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    bands: Sequence[Band] = ()
    curves: Sequence[Curve] = ()
    marks: Sequence[Mark] = ()
    labels: Sequence[Label] = ()
    left_out: Sequence[str] = field(default_factory=tuple)


def frame_of(size: Size, y_values: Sequence[float], *, right: float = _EDGE) -> Box:
    """Return where values are drawn, beside the texts of a vertical axis.

    Args:
        size: Of the chart.
        y_values: Values of about as many digits as the ticks will have.
        right: Pixels left free at the right.
    """
    widest = max(text_width(f"{value:.4g}", FONT) for value in y_values)
    return Box(widest + 10, _TOP, size.width - right, size.height - _BOTTOM)


def ticks_across(scale: Scale) -> list[Tick]:
    """Return ticks whose texts have room beside each other."""
    widest = max(text_width(f"{value:g}", FONT) for value in (*scale.ticks(60), scale.high))
    return [Tick(scale(value), f"{value:g}") for value in scale.ticks(min(widest, 40) + 14)]


def ticks_up(scale: Scale) -> list[Tick]:
    """Return ticks whose texts have room above each other."""
    return [Tick(scale(value), f"{value:g}") for value in scale.ticks(2 * LINE)]


def draw(*plots: Plot) -> str:
    """Return a chart's SVGs, one a size, as a part of the page."""
    return "".join(_template().render(plot=plot, style="") for plot in plots)


def draw_file(plot: Plot) -> str:
    """Return an SVG that stands alone, in the colours of light or dark."""
    return f"{_template().render(plot=plot, style='own')}\n"


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0], "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escape_lines(value) if type(value) is str else value,
    )
    environment.filters["px"] = lambda value: f"{value:.1f}".removesuffix(".0")
    environment.filters["line"] = escape_line
    return environment.get_template("plot.svg.j2")
