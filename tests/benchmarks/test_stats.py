"""Intervals contain what they should, and tests agree with scipy's."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import stats

samples = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=40)
fast = settings(max_examples=40, deadline=None)


@fast
@given(samples, st.floats(0, 100), st.integers(0, 5))
def test_percentile_interval_contains_the_percentile_and_stays_in_range(values, percentile, seed):
    interval = stats.percentile_interval(values, percentile, seed=seed, resamples=100)

    assert interval.value == pytest.approx(np.percentile(values, percentile))
    assert interval.low <= interval.value <= interval.high
    assert min(values) <= interval.low * (1 + 1e-12)
    assert interval.high <= max(values) * (1 + 1e-12)


@fast
@given(samples)
def test_same_seed_same_interval_and_scaling_scales_it(values):
    once = stats.percentile_interval(values, 50, seed=3, resamples=100)
    again = stats.percentile_interval(values, 50, seed=3, resamples=100)
    doubled = stats.percentile_interval(2 * np.asarray(values), 50, seed=3, resamples=100)

    assert once == again
    assert doubled == stats.Interval(2 * once.value, 2 * once.low, 2 * once.high)


def test_rounds_are_resampled_whole():
    # Within a round all timings are alike: 400 timings, but only four independent ones.
    rounds = np.repeat([[1.0], [2.0], [3.0], [4.0]], 100, axis=1)

    clustered = stats.percentile_interval(rounds, 50)
    naive = stats.percentile_interval(rounds.ravel(), 50)

    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_large_inputs_are_resampled_in_pieces_with_the_same_result():
    values = np.random.default_rng(0).normal(10, 1, size=(20, 50))
    resamples = 9000  # nine million values, more than twice what is held at once
    rows = np.random.default_rng(0).integers(0, 20, size=(resamples, 20))
    drawn = [np.percentile(values[some], 90) for some in rows]

    interval = stats.percentile_interval(values, 90, resamples=resamples)

    assert [interval.low, interval.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        draw = (rng.random(200) < 0.3).astype(float)
        interval = stats.mean_interval(draw, seed=trial, resamples=500)
        covered += interval.low <= 0.3 <= interval.high

    assert 0.90 <= covered / 300 <= 0.985


def test_counting_distinct_values_is_the_same_bootstrap_as_resampling_them(monkeypatch):
    draw = (np.random.default_rng(2).random(500) < 0.1).astype(float)
    counted = stats.mean_interval(draw)
    jittered = stats.mean_interval(draw + np.linspace(0, 1e-9, 500))  # 500 distinct values

    assert counted.low == pytest.approx(jittered.low, abs=0.005)
    assert counted.high == pytest.approx(jittered.high, abs=0.005)


@fast
@given(st.data(), st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_is_scipys(data, trials, confidence):
    binomtest = pytest.importorskip("scipy.stats").binomtest
    successes = data.draw(st.integers(0, trials))
    interval = stats.wilson_interval(successes, trials, confidence=confidence)
    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")

    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@fast
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second):
    binomtest = pytest.importorskip("scipy.stats").binomtest
    p_value = stats.mcnemar_exact(only_first, only_second)

    assert p_value == stats.mcnemar_exact(only_second, only_first)
    if only_first + only_second:
        expected = binomtest(only_first, only_first + only_second, 0.5).pvalue
        assert p_value == pytest.approx(expected, rel=1e-9)
    else:
        assert p_value == 1.0


def test_mcnemar_takes_counts_that_no_float_power_can():
    assert 0 < stats.mcnemar_exact(2400, 2600) < 0.01


@fast
@given(samples, st.floats(0.1, 20))
def test_ratio_is_exact_where_all_rounds_agree(values, factor):
    interval = stats.paired_ratio_interval(factor * np.asarray(values), values)

    assert (interval.low, interval.value, interval.high) == pytest.approx((factor,) * 3)


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 10, 300)
    difference = stats.paired_difference_interval(shared + 1 + rng.normal(0, 0.1, 300), shared)

    assert difference.low == pytest.approx(1, abs=0.05)
    assert difference.high == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.percentile_interval([], 50),
        lambda: stats.percentile_interval(np.ones((2, 2, 2)), 50),
        lambda: stats.paired_difference_interval([1.0], [1.0, 2.0]),
        lambda: stats.paired_ratio_interval([1.0], [0.0]),
        lambda: stats.wilson_interval(3, 2),
        lambda: stats.wilson_interval(0, 0),
        lambda: stats.mcnemar_exact(-1, 2),
    ],
)
def test_what_has_no_interval_is_refused(call):
    with pytest.raises(ValueError, match=r"."):
        call()


@fast
@given(st.lists(st.sampled_from([-2.5, 0.0, 1.0, 1.5, 7.0]) | st.floats(-9, 9), max_size=40))
def test_ranks_are_those_of_scipy(values):
    scipy_stats = pytest.importorskip("scipy.stats")

    assert np.array_equal(stats.ranks(values), scipy_stats.rankdata(values))
    assert np.isnan(stats.ranks([*values, np.nan])).all()


def test_bounds_of_a_percentile_hold_whatever_the_distribution():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        low, high = stats.percentile_bounds(rng.lognormal(0, 2, size=(20, 25)), 99.0)
        covered += low <= np.exp(2 * NormalDist().inv_cdf(0.99)) <= high
    assert covered / 400 >= 0.95 - 0.025
    low, high = stats.percentile_bounds(np.arange(101.0), 50.0)
    assert (low, high) == (40.0, 60.0)  # ranks 41 and 61 of 101, as tables have it


def test_too_few_samples_bound_no_high_percentile():
    assert stats.percentile_bounds(np.ones(367), 99.0) is None  # 0.99^367 is above 0.025
    assert stats.percentile_bounds(np.ones(368), 99.0) == (1.0, 1.0)
