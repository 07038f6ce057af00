"""Chooses the member to recommend: the fastest one inside the accuracy budget.

The fastest of several whose drop seems to be inside is one that was lucky. So estimates are taken
together first: on a runtime, a candidate is held to lose no less than slower ones. Where a faster
one seems to lose less, both are given their mean (isotonic regression). Tests one after the other
that stop at the first candidate outside (fixed sequences, Angelopoulos et al. 2021,
https://arxiv.org/abs/2110.01052) keep the budget too, but a single unlucky member ends them:
docs/adr/0021-a-budget-that-is-kept.md has the figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from benchmarks.expected import ExpectedDrop
from benchmarks.report import Row

__all__ = [
    "Choice",
    "Figures",
    "choose",
    "fastest_inside",
    "least_lost",
    "probable_drop",
    "taken_together",
]


# Times the fastest one's latency up to which a candidate counts as just as fast: closer than that,
# the few rounds that choose do not tell them apart.
_SAME_SPEED = 1.03
# Points; a standard error below this is taken for as much: of two that have none, both count.
_EXACT = 1e-6


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
    `confidence`, by estimates that are taken together. Of those that are as fast as the fastest, up
    to 3%, the one that is expected to lose least is taken. If none is within the budget, the one
    that probably loses least is taken where it is expected to lose no more than `max_drop`.

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
    figures = [row.figures for row in considered]
    together = taken_together(figures)
    for row, own in zip(considered, together, strict=True):
        bound = probable_drop(own.expected, confidence)
        verdict = "too much"
        if own.expected.value <= max_drop:
            verdict = "accepted only if nothing else is, as less is expected"
        if bound <= max_drop:
            verdict = "accepted"
        shared = ""
        if own.expected.value != row.figures.expected.value:
            shared = f", {_points(own.expected.value)} together with those next to it in speed"
        reasons.append(
            f"{row.name} ({row.ms:.2f} ms{clock}) {_expects(row.figures.expected.value)} "
            f"({_points(row.drop)} measured on the selection split{shared}), with "
            f"{confidence:.0%} certainty {_at_most(bound)}; the budget is {max_drop:g}: {verdict}."
        )
    place = fastest_inside(figures, max_drop=max_drop, confidence=confidence)
    if place is None:
        reasons.append(f"No candidate stays within {_budget(max_drop)}.")
        return Choice(None, tuple(reasons))
    best = together[place]
    inside = [one.pace for one in together if probable_drop(one.expected, confidence) <= max_drop]
    which, how = "the fastest", ""
    if not inside:
        which = "it probably loses least, and is"
        how = " by what is expected: none is so with the certainty that was asked for"
    elif best.pace != min(inside):
        which = "as fast as any, and the most accurate of these,"
    name = considered[place].name
    reasons.append(f"{name} was chosen: {which} within {_budget(max_drop)}{how}.")
    return Choice(considered[place].row_id, tuple(reasons))


@dataclass(frozen=True)
class Figures:
    """What decides about a candidate.

    Attributes:
        chain: Name of those that lose no less the faster they are: the runtime.
        pace: Time, in any unit.
        expected: Points.
    """

    chain: str
    pace: float
    expected: ExpectedDrop


def fastest_inside(
    candidates: Sequence[Figures], *, max_drop: float, confidence: float
) -> int | None:
    """Return the place of the one that `choose` chooses; None where it is none."""
    together = list(enumerate(taken_together(candidates)))
    pool = [(i, c) for i, c in together if probable_drop(c.expected, confidence) <= max_drop]
    if not pool:
        likely = [(i, c) for i, c in together if c.expected.value <= max_drop]
        return min(
            likely,
            key=lambda one: probable_drop(one[1].expected, confidence),
            default=(None, None),
        )[0]
    fastest = min(c.pace for _, c in pool)
    level = [(i, c) for i, c in pool if c.pace <= _SAME_SPEED * fastest]
    return min(level, key=lambda one: (candidates[one[0]].expected.value, one[1].pace))[0]


def least_lost(candidates: Sequence[Figures], *, target: float, confidence: float) -> int | None:
    """Return the place of the one that probably loses least of those within a time."""
    pool = [(i, c) for i, c in enumerate(candidates) if c.pace <= target]
    return min(
        pool,
        key=lambda one: (probable_drop(one[1].expected, confidence), one[1].pace),
        default=(None, None),
    )[0]


def taken_together(candidates: Sequence[Figures]) -> list[Figures]:
    """Return the candidates with expected drops that never fall from slower ones to faster ones.

    Of each chain they are the nearest such values, weighted by precision (isotonic regression by
    pooling adjacent violators, Barlow et al. 1972). Standard errors stay as they are.
    """
    found = list(candidates)
    for chain in dict.fromkeys(one.chain for one in candidates):
        places = [i for i, one in enumerate(candidates) if one.chain == chain]
        places.sort(key=lambda i: -candidates[i].pace)
        blocks: list[tuple[float, float, list[int]]] = []  # value, weight, places
        for place in places:
            drop = candidates[place].expected
            blocks.append((drop.value, 1 / max(drop.standard_error, _EXACT) ** 2, [place]))
            while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
                (a, v, first), (b, w, second) = blocks[-2:]
                blocks[-2:] = [((a * v + b * w) / (v + w), v + w, first + second)]
        for value, _, pooled in blocks:
            for place in pooled if len(pooled) > 1 else ():
                one = candidates[place]
                found[place] = replace(one, expected=replace(one.expected, value=value))
    return found


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
        drop: Points, measured.
        ms: End to end, p50.
        figures: Speed is compared by its time as a share of the reference's, from rounds that both
            took part in, as rows that do not fit into memory at once are timed minutes apart; by
            `ms` where a candidate has no such share.
    """

    row_id: str
    name: str
    drop: float
    ms: float
    figures: Figures


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
            figures = Figures(row.runtime, pace, expected)
            found.append(_Considered(row.id, name, drop.value, latency.p50, figures))
    return found, reasons


def _most_accurate(
    considered: Sequence[_Considered],
    reasons: list[str],
    target_ms: float,
    confidence: float,
    clock: str,
) -> Choice:
    reasons += [
        f"{row.name} takes {row.ms:.2f} ms{clock} ({_points(row.drop)} on the selection "
        f"split): "
        f"{'within' if row.ms <= target_ms else 'above'} the {target_ms:g} ms."
        for row in considered
    ]
    by_time = [replace(row.figures, pace=row.ms) for row in considered]
    place = least_lost(by_time, target=target_ms, confidence=confidence)
    if place is None:
        reasons.append(f"No candidate answers within {target_ms:g} ms.")
        return Choice(None, tuple(reasons))
    best = considered[place]
    reasons.append(f"{best.name} was chosen: it loses least within {target_ms:g} ms.")
    return Choice(best.row_id, tuple(reasons))
