"""What the machine is too noisy to rank is named, with the rounds that would settle it."""

from dataclasses import replace

import numpy as np

from benchmarks.noise import close_rows
from benchmarks.render.sections import remarks
from benchmarks.report import Report


def timed(report: Report, ratio: float, noise: float, rounds: int) -> Report:
    """Two rows of which the second takes `ratio` times as long, up to noise, while both drift."""
    rng = np.random.default_rng(0)
    drift = rng.uniform(0.5, 2.0, (rounds, 1))
    first = drift * np.ones((rounds, 5))
    second = first * ratio * np.exp(rng.normal(0, noise, (rounds, 1)))
    samples = {
        name: {"rounds": list(range(rounds)), "end_to_end_ms": values.tolist()}
        for name, values in (("small", first), ("stock", second))
    }
    return replace(report, samples=samples)


def test_drift_that_hits_both_does_not_hide_a_difference(report: Report) -> None:
    assert close_rows(timed(report, 1.05, 0.01, 12)) == []


def test_rows_within_the_noise_are_named_and_enough_rounds_tell_them_apart(report: Report) -> None:
    (pair,) = close_rows(timed(report, 1.04, 0.1, 12))
    assert (pair.faster.id, pair.slower.id) == ("small", "stock")
    assert pair.ratio.low <= 1 <= pair.ratio.high
    assert pair.rounds is not None
    assert pair.rounds > 12
    assert close_rows(timed(report, 1.04, 0.1, 20 * pair.rounds)) == []
    text = " ".join(remarks(timed(report, 1.04, 0.1, 12)))
    assert "cannot be ranked by speed" in text
    assert f"about {pair.rounds} rounds" in text


def test_equal_rows_are_not_ranked(report: Report) -> None:
    (pair,) = close_rows(timed(report, 1.0, 0.0, 400))
    assert pair.rounds is None
    assert (pair.ratio.low, pair.ratio.high) == (1.0, 1.0)
    assert "a thousand rounds would hardly tell" in " ".join(remarks(timed(report, 1.0, 0.0, 9)))


def test_rows_without_common_rounds_are_not_compared(report: Report) -> None:
    alone = timed(report, 1.0, 0.05, 12)
    later = {**alone.samples["stock"], "rounds": list(range(50, 62))}
    assert close_rows(replace(alone, samples={**alone.samples, "stock": later})) == []
