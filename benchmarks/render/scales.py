"""Maps values to places on an axis, and chooses its ticks by the room that there is."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Scale"]

_FACTORS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_STEPS = (1.0, 2.0, 2.5, 5.0)


@dataclass(frozen=True)
class Scale:
    """An axis, linear or logarithmic.

    Attributes:
        low: Value at `start`; positive where it is logarithmic.
        high: Value at `end`, above `low`.
        start: Place of `low`, in pixels.
        end: Place of `high`; below `start` where values grow upwards on a screen.
        log: Whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        margin: float = 0.06,
    ) -> "Scale":
        """Return the scale that shows all values, with a margin (a share of it) at both ends."""
        low, high = min(values), max(values)
        if log:
            low, high = math.log(low), math.log(high)
        # Values that are all the same are in the middle of something.
        extra = (high - low) * margin if high > low else (0.5 if log else abs(high) * 0.05 or 0.5)
        low, high = low - extra, high + extra
        if log:
            low, high = math.exp(low), math.exp(high)
        return cls(low, high, start, end, log)

    def __call__(self, value: float) -> float:
        """Return the place of a value; beyond the ends, that of the nearest end."""
        value = min(max(value, self.low), self.high)
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, room: float) -> list[float]:
        """Return round values within the scale, as many as stay `room` pixels apart."""
        best: list[float] = []
        for values in self._levels():
            places = sorted(self(value) for value in values)
            close = any(b - a < room for a, b in pairwise(places))
            if not close and len(values) >= len(best):
                best = values
        return best

    def _levels(self) -> Iterator[list[float]]:
        """Yield ticks of several densities."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for factors in _FACTORS:
                powers = range(first, last + 1)
                yield self._within([factor * 10.0**power for power in powers for factor in factors])
        span = self.high - self.low
        first = math.floor(math.log10(span)) + 1
        for power in range(first, first - 4, -1):
            for factor in reversed(_STEPS):
                step = factor * 10.0**power
                begin, end = math.ceil(self.low / step), math.floor(self.high / step)
                if end - begin <= 40:
                    yield [round(i * step, 9) for i in range(begin, end + 1)]

    def _within(self, values: list[float]) -> list[float]:
        return [value for value in values if self.low <= value <= self.high]
