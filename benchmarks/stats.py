"""Computes the intervals and tests of a report's numbers; numpy only, to run on a device.

Every interval is two-sided, at 95%, and every random draw comes from `seed`, so that a report
recomputed from its raw samples is the same to the last digit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "mcnemar_exact",
    "mean_interval",
    "paired_difference_interval",
    "paired_ratio_interval",
    "percentile_bounds",
    "percentile_interval",
    "ranks",
    "ratio_difference_interval",
    "ratio_interval",
    "wilson_interval",
]

FloatArray = NDArray[np.float64]

_CONFIDENCE = 0.95
_CHUNK_VALUES = 4_000_000  # resampled values held at once: 32 MB, whatever the input's size


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval: `low <= value <= high`, all in one unit."""

    value: float
    low: float
    high: float


def percentile_interval(
    samples: ArrayLike,
    percentile: float,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Return a percentile of all samples, with a bootstrap interval that resamples whole rows.

    Timings taken in one round share what the machine did meanwhile, so they are no independent
    draws; resampling rounds instead of timings keeps the interval's coverage (cluster bootstrap,
    Field & Welsh 2007, https://doi.org/10.1111/j.1467-9868.2007.00593.x).

    Args:
        samples: (R, S), S samples in each of R rounds; or (N,), each sample a round of its own.
        percentile: 0 to 100.
        seed: Seed of the resampling.
        resamples: Bootstrap resamples.

    Raises:
        ValueError: There are no samples, or they have more than two axes.
    """
    values = _as_rounds(samples)

    def statistic(drawn: FloatArray) -> FloatArray:  # (B, R, S) -> (B,)
        flat = drawn.reshape(drawn.shape[0], -1)
        return np.asarray(np.percentile(flat, percentile, axis=1), dtype=np.float64)

    return _bootstrap(values, statistic, seed=seed, resamples=resamples)


def percentile_bounds(samples: ArrayLike, percentile: float) -> tuple[float, float] | None:
    """Return a percentile's interval between two of the sorted samples, of any distribution.

    How many of N samples lie below the true percentile is binomial, so the samples of two ranks
    enclose it at least as often as is asked for (Hahn & Meeker 1991, Statistical Intervals, 5.2).

    Args:
        samples: Any shape.
        percentile: Above 0 and below 100.

    Returns:
        Both ends; None where there are too few samples for one (of a 99th percentile: below 368).
    """
    values = np.sort(np.asarray(samples, dtype=np.float64), axis=None)
    n, p = len(values), percentile / 100
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    below = np.arange(n + 1)
    log_ways = log_factorials[-1] - log_factorials - log_factorials[::-1]
    at_most = np.cumsum(np.exp(log_ways + below * np.log(p) + (n - below) * np.log1p(-p)))
    tail = (1 - _CONFIDENCE) / 2
    # The true percentile is at least the k-th sample where at least k samples lie below it.
    low = int(np.searchsorted(at_most, tail, side="right"))
    high = int(np.searchsorted(at_most, 1 - tail)) + 1
    return (float(values[low - 1]), float(values[high - 1])) if low >= 1 and high <= n else None


def mean_interval(samples: ArrayLike, *, seed: int = 0, resamples: int = 10_000) -> Interval:
    """Return the mean of (N,) samples with a percentile-bootstrap interval.

    Where the samples take few distinct values (right/wrong), resampling them is one multinomial
    draw of the counts: the same distribution, without N x `resamples` random numbers.

    Raises:
        ValueError: There are no samples.
    """
    values = _as_rounds(samples)[:, 0]
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > 64:
        return _bootstrap(
            values[:, None],
            lambda drawn: np.asarray(drawn.mean(axis=(1, 2)), dtype=np.float64),
            seed=seed,
            resamples=resamples,
        )
    rng = np.random.default_rng(seed)
    drawn_counts = rng.multinomial(len(values), counts / len(values), size=resamples)
    means = drawn_counts @ distinct / len(values)
    return _interval(float(values.mean()), means)


def paired_difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean of `first - second`, (N,) scores of the same examples, resampling pairs.

    Pairing matters: two models that are right on nearly the same examples differ by far less than
    their separate intervals suggest. Where all differences are equal the interval has no width,
    which says that this data saw no difference, not that there is none.

    Raises:
        ValueError: The two do not have the same, non-zero length.
    """
    a, b = _same_length(first, second)
    return mean_interval(a - b, seed=seed, resamples=resamples)


def paired_ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Return the median of the R ratios `numerators / denominators`, resampling pairs.

    Each pair comes from one round, in which both were measured within moments of each other on the
    same sentences: what the machine did in that round cancels out of the ratio.

    Raises:
        ValueError: The two do not have the same, non-zero length, or a value is not positive.
    """
    a, b = _same_length(numerators, denominators)
    if not (np.all(a > 0) and np.all(b > 0)):
        raise ValueError("ratios need positive values on both sides")
    return percentile_interval(a / b, 50.0, seed=seed, resamples=resamples)


def ratio_interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Return the ratio of two sums over N texts, resampling texts; 0 where the denominators are.

    Raises:
        ValueError: The two do not have the same, non-zero length.
    """
    a, b = _same_length(numerators, denominators)
    drawn = _resampled_sums(np.stack([a, b], axis=1), seed, resamples)
    value = float(_ratio(a.sum(), b.sum()))
    return _interval(value, _ratio(drawn[:, 0], drawn[:, 1]))


def ratio_difference_interval(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Interval:
    """Return the difference of two such ratios over the same N texts, resampling texts.

    Args:
        first: Numerators (N,) and denominators (N,).
        second: Likewise; subtracted.
        seed: Seed of the resampling.
        resamples: Bootstrap resamples.

    Raises:
        ValueError: The four do not have the same, non-zero length.
    """
    columns = np.stack([*_same_length(*first), *_same_length(*second)], axis=1)  # (N, 4)
    sums, drawn = columns.sum(axis=0), _resampled_sums(columns, seed, resamples)
    value = _ratio(sums[0], sums[1]) - _ratio(sums[2], sums[3])
    differences = _ratio(drawn[:, 0], drawn[:, 1]) - _ratio(drawn[:, 2], drawn[:, 3])
    return _interval(float(value), differences)


def wilson_interval(successes: int, trials: int, *, confidence: float = _CONFIDENCE) -> Interval:
    """Return the Wilson score interval of a proportion, all as fractions 0 to 1.

    Unlike the textbook interval it stays inside [0, 1] and keeps its coverage near 0 and 1, where
    good classifiers live (Wilson 1927, https://doi.org/10.2307/2276774).

    Raises:
        ValueError: `trials` is not positive, or `successes` is not within 0 to `trials`.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is no proportion")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / trials
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / scale
    # Rounding may leave the bounds a few ulp inside p when p is 0 or 1.
    low, high = min(centre - half, p), max(centre + half, p)
    return Interval(value=p, low=max(0.0, low), high=min(1.0, high))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided exact McNemar p-value of "equally often right".

    Args:
        only_first: Examples that only the first classifies correctly.
        only_second: Examples that only the second classifies correctly.

    Returns:
        Probability, under equal skill, of a split at least this uneven (McNemar 1947,
        https://doi.org/10.1007/BF02295996); 1.0 where they never disagree.

    Raises:
        ValueError: A count is negative.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts cannot be negative: {only_first}, {only_second}")
    n, k = only_first + only_second, min(only_first, only_second)
    tail = ways = 1  # ways: n over i, in integers that stay exact at any n
    for i in range(k):
        ways = ways * (n - i) // (i + 1)
        tail += ways
    return float(min(1.0, 2 * tail / 2**n))


def _resampled_sums(columns: FloatArray, seed: int, resamples: int) -> FloatArray:
    """Return sums (B, K) of columns (N, K) over rows drawn with replacement."""
    rng = np.random.default_rng(seed)
    rows = len(columns)
    step = max(1, _CHUNK_VALUES // rows)
    drawn = [
        rng.multinomial(rows, np.full(rows, 1 / rows), size=min(step, resamples - start)) @ columns
        for start in range(0, resamples, step)
    ]
    return np.concatenate(drawn)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=np.asarray(denominator) != 0
    )


def _as_rounds(samples: ArrayLike) -> FloatArray:
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"needs samples of shape (N,) or (R, S), got {values.shape}")
    return values


def ranks(values: ArrayLike) -> FloatArray:
    """Return the ranks of N values, 1 for the least; equal values share the mean of theirs.

    Returns:
        (N,); NaN throughout where a value is NaN, which has no rank.
    """
    given = np.asarray(values, dtype=np.float64)
    if np.isnan(given).any():
        return np.full(given.shape, np.nan)
    _, inverse, counts = np.unique(given, return_inverse=True, return_counts=True)
    means = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(means[inverse], dtype=np.float64)


def _same_length(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"needs pairs: two equally long lists, got {a.shape} and {b.shape}")
    return a, b


def _bootstrap(
    values: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    seed: int,
    resamples: int,
) -> Interval:
    rng = np.random.default_rng(seed)
    rounds = values.shape[0]
    step = max(1, _CHUNK_VALUES // values.size)
    drawn = [
        statistic(values[rng.integers(0, rounds, size=(min(step, resamples - start), rounds))])
        for start in range(0, resamples, step)
    ]
    return _interval(float(statistic(values[None])[0]), np.concatenate(drawn))


def _interval(value: float, drawn: FloatArray) -> Interval:
    tail = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    # With a handful of samples the percentile method can miss the estimate itself.
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))
