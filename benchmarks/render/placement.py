"""Measures text, and finds places for labels where they cover nothing."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

__all__ = ["Box", "place_labels", "shortened", "spread", "text_width"]

# Advance widths in em of DejaVu Sans, the widest of the usual system fonts: what has room in it has
# room in others.
_WIDTHS = {
    **dict.fromkeys("ijl.,:;'|!I ", 0.34),
    **dict.fromkeys('frt()[]/\\-"`', 0.42),
    **dict.fromkeys("mMwW@%\u2026", 0.98),
    **dict.fromkeys("0123456789", 0.64),
}
_LOWER, _UPPER, _WIDE = 0.63, 0.75, 1.05
_LINE = 1.2  # of a line, in em


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Return whether the two have a point in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, other: "Box") -> bool:
        """Return whether no part is outside another."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def text_width(text: str, size: float) -> float:
    """Return the most pixels that a line of text takes in a font of `size` pixels."""
    return size * sum(_width(character) for character in text)


def shortened(text: str, size: float, most: float) -> str:
    """Return text that takes at most `most` pixels, with an ellipsis for what was cut."""
    widths = accumulate(size * _width(character) for character in text)
    fitting = sum(1 for _ in takewhile(lambda width: width <= most, widths))
    if fitting == len(text):
        return text
    kept = text[:fitting].rstrip()
    while len(kept) > 1 and text_width(f"{kept}\u2026", size) > most:
        kept = kept[:-1].rstrip()
    return f"{kept}\u2026"


def place_labels(
    labels: Sequence[tuple[str, float, float]],
    taken: Iterable[Box],
    lines: Iterable[Box],
    bounds: Box,
    *,
    size: float,
    gap: float,
) -> list[Box | None]:
    """Return boxes for labels beside their points; None for those that no place is left for.

    Earlier labels choose first: beside the point, above or below it, then further away. A place
    that covers no line is preferred to one that does.

    Args:
        labels: Texts, and the points (x, y) that they are for.
        taken: What may not be covered, such as the marks themselves.
        lines: What would better not be covered.
        bounds: No label leaves this.
        size: Of the font, in pixels.
        gap: Pixels between a point and its label.
    """
    blocked, lines = list(taken), list(lines)
    placed: list[Box | None] = []
    for text, x, y in labels:
        width, height = text_width(text, size), _LINE * size
        free = [
            box
            for box in _around(x, y, width, height, gap)
            if box.within(bounds) and not any(box.overlaps(other) for other in blocked)
        ]
        clear = [box for box in free if not any(box.overlaps(line) for line in lines)]
        box = next(iter(clear or free), None)
        placed.append(box)
        if box is not None:
            blocked.append(box)
    return placed


def spread(places: Sequence[float], height: float, low: float, high: float) -> list[float]:
    """Move places on a line apart, each as little as possible.

    Args:
        places: N wanted places.
        height: The least distance between two.
        low: The first place that may be taken.
        high: The last one; `(N - 1) * height` or more above `low`.

    Returns:
        The N places, in the order of `places`.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    # Those that touch move as one, around the mean of what they want.
    groups: list[list[int]] = []
    starts: list[float] = []
    for index in order:
        groups.append([index])
        starts.append(_start(places, groups[-1], height, low, high))
        while len(groups) > 1 and starts[-1] < starts[-2] + len(groups[-2]) * height:
            groups[-2:] = [groups[-2] + groups[-1]]
            starts[-2:] = [_start(places, groups[-1], height, low, high)]
    found = [0.0] * len(places)
    for start, group in zip(starts, groups, strict=True):
        for offset, index in enumerate(group):
            found[index] = start + offset * height
    return found


def _start(
    places: Sequence[float], group: list[int], height: float, low: float, high: float
) -> float:
    wanted = sum(places[index] - place * height for place, index in enumerate(group)) / len(group)
    return max(low, min(wanted, high - (len(group) - 1) * height))


def _around(x: float, y: float, width: float, height: float, gap: float) -> list[Box]:
    """Return places for a label, the nearest first."""
    boxes = []
    for distance in (gap, 2 * gap, 4 * gap):
        middle = y - height / 2
        boxes += [
            _box(x + distance, middle, width, height),
            _box(x - distance - width, middle, width, height),
            _box(x - width / 2, y - distance - height, width, height),
            _box(x - width / 2, y + distance, width, height),
        ]
        for left in (x + distance / 2, x - distance / 2 - width):
            boxes += [
                _box(left, y - distance - height / 2, width, height),
                _box(left, y + distance - height / 2, width, height),
            ]
    return boxes


def _box(left: float, top: float, width: float, height: float) -> Box:
    return Box(left, top, left + width, top + height)


def _width(character: str) -> float:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return _WIDE
    if unicodedata.combining(character):
        return 0.0
    return _UPPER if character.isupper() or ord(character) > 0x24F else _LOWER
