"""Compares an earlier and a later report of the same models: what became worse beyond doubt.

Milliseconds of two days are of two machines, as far as noise goes. What is compared is therefore
how many times as fast as the reference a row is, of which each round of a report gives a value that
the machine's drift has cancelled out of.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.render.figures import describe_cpu
from benchmarks.report import Report, Row
from benchmarks.stats import Interval
from runtimes.errors import DataError

__all__ = ["Change", "compare_reports"]

_RESAMPLES = 5000
_Z = 1.96  # of a 95% interval
# Share of speed or size that may be lost: conditions of two runs differ by some percent even where
# each of them is precise. Points of accuracy have none.
_TOLERANCE = 0.03

Quantity = Literal["speed-up", "drop", "size", "measured"]


@dataclass(frozen=True)
class Change:
    """One quantity of one row, before and after.

    Attributes:
        row: The row as the later report has it (as the earlier one, where it is missing).
        quantity: `speed-up` (times the reference), `drop` (points), `size` (bytes), or `measured`
            (1: yes, 0: it is missing or failed).
        before: Its value in the earlier report.
        after: Its value in the later report.
        change: For speed-up the ratio after / before, for drop and size the difference; with its
            95% interval.
        regression: Whether it is worse by more than the tolerance, interval included.
    """

    row: Row
    quantity: Quantity
    before: float
    after: float
    change: Interval
    regression: bool


def compare_reports(before: Report, after: Report) -> list[Change]:
    """Return what changed in the rows that the earlier report has.

    Rows are the same where the model's name (without its sizes), runtime, device, precision and
    threads are.

    Args:
        before: The earlier report.
        after: The later one, on the same data and against the same reference.

    Raises:
        DataError: The two were measured on other data or processors, against another reference, or
            have no row in common that can be compared.
    """
    for what, of in _CONDITIONS.items():
        if of(before) != of(after):
            raise DataError(
                f"the reports cannot be compared: {what} was {of(before)}, and is {of(after)} now"
            )
    if before.data.get("fingerprint") is None:
        raise DataError("the reports do not say what data they were measured on")
    for report in (before, after):
        twice = [key for key, count in Counter(map(_key, report.rows)).items() if count > 1]
        if twice:
            raise DataError(f"a report has several rows called {' '.join(map(str, twice[0]))}")
    rows = {_key(row): row for row in after.rows}
    changes = []
    for old in before.rows:
        if old.error is not None:
            continue
        new = rows.get(_key(old))
        if new is None or new.error is not None:
            lost = Interval(-1.0, -1.0, -1.0)
            changes.append(Change(new or old, "measured", 1.0, 0.0, lost, True))
            continue
        changes += [*_speed(before, after, old, new), *_drop(old, new), *_size(old, new)]
    if not any(change.quantity in ("speed-up", "measured") for change in changes):
        if any(row.doubt for report in (before, after) for row in report.rows):
            raise DataError(
                "the reports cannot be compared: the machine was busy while one was made",
                hint="run the benchmark again when the machine is quiet",
            )
        raise DataError("the reports have no timings in common that could be compared")
    return changes


def _key(row: Row) -> tuple[str, str, str, str, int | None]:
    return row.model.partition(":")[0], row.runtime, row.device, row.precision, row.threads


_CONDITIONS: dict[str, Callable[[Report], object]] = {
    "the data": lambda report: report.data.get("fingerprint"),
    "the reference": lambda report: " ".join(map(str, _key(report.row(report.reference)))),
    "the processor": lambda report: describe_cpu(report.environment),
}


def _speed(before: Report, after: Report, old: Row, new: Row) -> list[Change]:
    if old.id == before.reference or old.doubt or new.doubt:
        return []
    logs = [_log_speedups(before, old), _log_speedups(after, new)]
    if any(len(values) == 0 for values in logs):
        return []
    rng = np.random.default_rng(0)
    medians = [
        np.median(rng.choice(values, size=(_RESAMPLES, len(values))), axis=1) for values in logs
    ]
    low, high = np.exp(np.percentile(medians[1] - medians[0], [2.5, 97.5]))
    value = float(np.exp(np.median(logs[1]) - np.median(logs[0])))
    change = Interval(value, min(float(low), value), max(float(high), value))
    first, second = (float(np.exp(np.median(values))) for values in logs)
    return [Change(new, "speed-up", first, second, change, change.high < 1 - _TOLERANCE)]


def _log_speedups(report: Report, row: Row) -> NDArray[np.float64]:
    """Return (R,) log speed-ups of the rounds that the row shares with the reference."""
    reference, own = report.paired_medians(report.reference, row.id)
    return np.log(reference / own)


def _drop(old: Row, new: Row) -> list[Change]:
    """Compare the drops. They are taken as independent, which they are not
    where the texts are the same: the interval is wider than need be."""
    if old.drop is None or new.drop is None:
        return []
    variance = sum(((d.high - d.low) / (2 * _Z)) ** 2 for d in (old.drop, new.drop))
    value, half = new.drop.value - old.drop.value, _Z * float(np.sqrt(variance))
    change = Interval(value, value - half, value + half)
    return [Change(new, "drop", old.drop.value, new.drop.value, change, change.low > 0)]


def _size(old: Row, new: Row) -> list[Change]:
    if old.size_bytes is None or new.size_bytes is None:
        return []
    more = float(new.size_bytes - old.size_bytes)
    worse = more > _TOLERANCE * old.size_bytes
    sizes = float(old.size_bytes), float(new.size_bytes)
    return [Change(new, "size", *sizes, Interval(more, more, more), worse)]
