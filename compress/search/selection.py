"""Chooses the member to recommend: the fastest one inside the accuracy budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from benchmarks.expected import ExpectedDrop
from benchmarks.report import Row

__all__ = ["Choice", "choose", "probable_drop"]


# Times the fastest one's latency up to which a candidate counts as just as fast: closer than that,
# the few rounds that choose do not tell them apart.
_SAME_SPEED = 1.03


@dataclass(frozen=True)
class Choice:
    """A decision and its reasons.

    Attributes:
        row_id: Id of the chosen row of the selection benchmark; None if no candidate is within
            the budget.
        reasons: One sentence for each candidate that was looked at, and one for the outcome.
    """

    row_id: str | None
    reasons: tuple[str, ...]


def probable_drop(drop: ExpectedDrop, confidence: float) -> float:
    """Return the drop (points) that the true one stays below with probability `confidence`.

    The selection split is a sample. With `confidence` 0.5 this is the expected drop; more adds a
    multiple of its standard error.
    """
    return drop.value + NormalDist().inv_cdf(confidence) * drop.standard_error


def choose(
    candidates: Sequence[Row],
    *,
    max_drop: float,
    confidence: float,
    names: Mapping[str, str],
    target_latency_ms: float | None = None,
    clock: str = "",
) -> Choice:
    """Choose the fastest candidate whose drop is within the budget.

    A candidate counts as within the budget when its drop stays below `max_drop` with probability
    `confidence`; if none does, when its measured drop stays below it. Of those that are as fast as
    the fastest, up to 3%, the one that is expected to lose least is taken.

    Args:
        candidates: Rows of one benchmark on the selection split.
        max_drop: Budget in points.
        confidence: See `probable_drop`.
        names: Row id -> what to call it in the reasons.
        target_latency_ms: The dual question: of the candidates whose p50 end to end is at most
            this, the one that probably loses least, whatever `max_drop` is.
        clock: Where candidates' milliseconds are from, such as `expected`; "" where they were
            measured.
    """
    considered, reasons = _considered(candidates, names)
    clock = clock and f" {clock}"
    if target_latency_ms is not None:
        return _most_accurate(considered, reasons, target_latency_ms, confidence, clock)
    safe: list[_Considered] = []
    measured: list[_Considered] = []
    for row in considered:
        bound = probable_drop(row.expected, confidence)
        verdict = "too much"
        if row.drop <= max_drop:
            measured.append(row)
            verdict = "accepted only if nothing else is, as it lost less when measured"
        if bound <= max_drop:
            safe.append(row)
            verdict = "accepted"
        reasons.append(
            f"{row.name} ({row.ms:.2f} ms{clock}) {_expects(row.expected.value)} "
            f"({_points(row.drop)} measured on the selection split), with {confidence:.0%} "
            f"certainty {_at_most(bound)}; the budget is {max_drop:g}: {verdict}."
        )
    pool = safe or measured
    if not pool:
        reasons.append(f"No candidate stays within {_budget(max_drop)}.")
        return Choice(None, tuple(reasons))
    fastest = min(row.pace for row in pool)
    level = [row for row in pool if row.pace <= _SAME_SPEED * fastest]
    best = min(level, key=lambda row: (row.expected.value, row.pace))
    which = "the fastest"
    if best.pace != fastest:
        which = "as fast as any, and the most accurate of these,"
    how = "" if safe else ", by its measured drop: none is so with the certainty that was asked for"
    reasons.append(f"{best.name} was chosen: {which} within {_budget(max_drop)}{how}.")
    return Choice(best.row_id, tuple(reasons))


def _budget(max_drop: float) -> str:
    return f"{max_drop:g} point{'' if max_drop == 1 else 's'}"


def _points(drop: float) -> str:
    """Word a measured drop: `0.69 lost`, `0.31 gained`."""
    return f"{abs(drop):.2f} {'gained' if drop < 0 else 'lost'}"


def _expects(drop: float) -> str:
    verb = "gains" if drop < 0 else "loses"
    return f"{verb} an expected {abs(drop):.2f} points"


def _at_most(bound: float) -> str:
    """Word what the drop stays below."""
    return f"gains more than {-bound:.2f}" if bound < 0 else f"loses less than {bound:.2f}"


@dataclass(frozen=True)
class _Considered:
    """Figures that decide about a measured candidate.

    Attributes:
        row_id: Its row.
        name: What to call it.
        drop: Points.
        expected: Points.
        ms: End to end, p50.
        pace: What speed is compared by: its time as a share of the reference's, from rounds that
            both took part in, as rows that do not fit into memory at once are timed minutes apart;
            `ms` where a candidate has no such share.
    """

    row_id: str
    name: str
    drop: float
    expected: ExpectedDrop
    ms: float
    pace: float


def _considered(
    candidates: Sequence[Row], names: Mapping[str, str]
) -> tuple[list[_Considered], list[str]]:
    """Return the candidates that were measured, and a sentence for each other."""
    found, reasons = list[_Considered](), list[str]()
    paired = all(row.speedup is not None for row in candidates if row.error is None)
    for row in candidates:
        name = names.get(row.id, row.id)
        drop, expected, latency = row.drop, row.expected_drop, row.end_to_end_ms
        if row.error is not None or drop is None or expected is None or latency is None:
            reasons.append(f"{name} was not considered: {row.error or 'it was not measured'}.")
        else:
            pace = 1 / row.speedup.value if paired and row.speedup else latency.p50
            found.append(_Considered(row.id, name, drop.value, expected, latency.p50, pace))
    return found, reasons


def _most_accurate(
    considered: Sequence[_Considered],
    reasons: list[str],
    target_ms: float,
    confidence: float,
    clock: str,
) -> Choice:
    reasons += [
        f"{row.name} takes {row.ms:.2f} ms{clock} ({_points(row.drop)} on the selection split): "
        f"{'within' if row.ms <= target_ms else 'above'} the {target_ms:g} ms."
        for row in considered
    ]
    pool = [row for row in considered if row.ms <= target_ms]
    if not pool:
        reasons.append(f"No candidate answers within {target_ms:g} ms.")
        return Choice(None, tuple(reasons))
    best = min(pool, key=lambda row: (probable_drop(row.expected, confidence), row.ms))
    reasons.append(f"{best.name} was chosen: it loses least within {target_ms:g} ms.")
    return Choice(best.row_id, tuple(reasons))
