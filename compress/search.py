"""Which member of the family is recommended: the fastest one inside the accuracy budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from benchmarks.expected import ExpectedDrop
from benchmarks.report import Row

__all__ = ["Choice", "choose", "probable_drop"]


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
    """The drop (points) that the true one stays below with probability `confidence`.

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
) -> Choice:
    """The fastest candidate whose drop is within the budget.

    A candidate counts as within the budget when its drop stays below `max_drop` with probability
    `confidence`; if none does, when its measured drop stays below it.

    Args:
        candidates: Rows of one benchmark on the selection split.
        max_drop: Budget in points.
        confidence: See `probable_drop`.
        names: Row id -> what to call it in the reasons.
        target_latency_ms: The dual question: of the candidates whose p50 end to end is at most
            this, the one that probably loses least, whatever `max_drop` is.
    """
    if target_latency_ms is not None:
        return _most_accurate(candidates, target_latency_ms, confidence, names)
    reasons = []
    safe: list[Row] = []
    measured: list[Row] = []
    for row in candidates:
        name = names.get(row.id, row.id)
        drop, expected = row.drop, row.expected_drop
        if row.error is not None or drop is None or expected is None or row.end_to_end_ms is None:
            reasons.append(f"{name}: not considered, {row.error or 'not measured'}.")
            continue
        bound = probable_drop(expected, confidence)
        verdict = "outside the budget"
        if drop.value <= max_drop:
            measured.append(row)
            verdict = "inside by its measured drop only"
        if bound <= max_drop:
            safe.append(row)
            verdict = "inside the budget"
        reasons.append(
            f"{name}: {row.end_to_end_ms.p50:.2f} ms, drop {drop.value:+.2f} points on the "
            f"selection split, {expected.value:+.2f} expected, below {bound:.2f} with probability "
            f"{confidence:g}: {verdict}."
        )
    pool = safe or measured
    if not pool:
        reasons.append(f"No candidate is within {max_drop:g} points.")
        return Choice(None, tuple(reasons))
    best = min(pool, key=_p50)
    how = "" if safe else " by its measured drop, none being so with the probability asked for"
    reasons.append(
        f"Chosen: {names.get(best.id, best.id)}, the fastest within {max_drop:g} points{how}."
    )
    return Choice(best.id, tuple(reasons))


def _most_accurate(
    candidates: Sequence[Row], target_ms: float, confidence: float, names: Mapping[str, str]
) -> Choice:
    reasons, pool = [], list[tuple[float, Row]]()
    for row in candidates:
        name = names.get(row.id, row.id)
        drop, expected = row.drop, row.expected_drop
        if row.error is not None or drop is None or expected is None or row.end_to_end_ms is None:
            reasons.append(f"{name}: not considered, {row.error or 'not measured'}.")
            continue
        inside = _p50(row) <= target_ms
        if inside:
            pool.append((probable_drop(expected, confidence), row))
        reasons.append(
            f"{name}: {_p50(row):.2f} ms, drop {drop.value:+.2f} points on the selection "
            f"split: {'inside' if inside else 'outside'} the {target_ms:g} ms."
        )
    if not pool:
        reasons.append(f"No candidate runs in {target_ms:g} ms.")
        return Choice(None, tuple(reasons))
    best = min(pool, key=lambda entry: (entry[0], _p50(entry[1])))[1]
    reasons.append(
        f"Chosen: {names.get(best.id, best.id)}, which loses least within {target_ms:g} ms."
    )
    return Choice(best.id, tuple(reasons))


def _p50(row: Row) -> float:
    return float("inf") if row.end_to_end_ms is None else row.end_to_end_ms.p50
