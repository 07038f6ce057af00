"""Turns are fair, samples are the data's, ratios are free of drift. No clock is involved."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import latency
from benchmarks.disturbance import Watch
from benchmarks.latency import (
    LatencySettings,
    Samples,
    measure_latency,
    sample_rounds,
    speedup,
    summarize,
    turn_order,
    warmup_sentences,
)

LENGTHS = list(np.random.default_rng(0).integers(5, 200, size=500))


class Fake:
    """Takes `milliseconds` a sentence by its own account, and fails at its n-th call."""

    def __init__(self, name: str, milliseconds: float, log: list, fails_at: int | None = None):
        self.id, self.milliseconds, self.log, self.fails_at = name, milliseconds, log, fails_at
        self.calls = 0

    def time(self, indices, *, discard):
        self.calls += 1
        if self.calls == self.fails_at:
            raise ConnectionError(self.id)
        self.log.append((self.id, tuple(indices[discard:]), discard))
        timed = np.full(len(indices) - discard, self.milliseconds)
        return timed, timed / 2


def measure(models, settings, **keywords):
    failed = []
    samples = measure_latency(
        models,
        sample_rounds(LENGTHS, rounds=settings.rounds, sentences=settings.sentences, seed=0),
        warmup_sentences(LENGTHS, settings.warmup),
        settings,
        watch=Watch(),
        on_failure=lambda model, error: failed.append(model.id),
        failures=(ConnectionError,),
        **keywords,
    )
    return samples, failed


def test_every_round_has_the_lengths_of_the_data():
    rounds = sample_rounds(LENGTHS, rounds=30, sentences=25, seed=1)
    medians = np.median(np.asarray(LENGTHS)[rounds], axis=1)

    assert rounds.shape == (30, 25)
    assert np.abs(medians - np.median(LENGTHS)).max() < 10
    assert all(len(set(chosen)) == 25 for chosen in rounds.tolist())
    assert len({tuple(sorted(chosen)) for chosen in rounds.tolist()}) > 25  # not always the same


def test_sampling_is_seeded_and_takes_what_there_is():
    first = sample_rounds(LENGTHS, rounds=3, sentences=5, seed=7)

    assert (first == sample_rounds(LENGTHS, rounds=3, sentences=5, seed=7)).all()
    assert (first != sample_rounds(LENGTHS, rounds=3, sentences=5, seed=8)).any()
    assert sample_rounds([3, 1], rounds=2, sentences=25, seed=0).shape == (2, 2)
    with pytest.raises(ValueError, match="nothing"):
        sample_rounds([], rounds=1, sentences=1, seed=0)


def test_warmup_goes_from_the_shortest_to_the_longest():
    chosen = [LENGTHS[i] for i in warmup_sentences(LENGTHS, 20)]

    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1], len(chosen)) == (min(LENGTHS), max(LENGTHS), 20)
    assert warmup_sentences(LENGTHS, 0) == []


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_model_gets_every_place_equally_often(count):
    places = [Counter() for _ in range(count)]
    for number in range(2 * count):
        order = turn_order(count, number)
        assert sorted(order) == list(range(count))
        for place, model in enumerate(order):
            places[model][place] += 1

    assert all(set(seen.values()) == {2} and len(seen) == count for seen in places)


def test_all_time_the_same_sentences_in_a_round_and_warmup_is_not_counted():
    log: list = []
    models = [Fake("a", 1.0, log), Fake("b", 2.0, log), Fake("c", 3.0, log)]
    settings = LatencySettings(rounds=4, sentences=6, warmup=5, settle=2, pause_s=0.0)
    samples, failed = measure(models, settings)

    assert failed == []
    assert [(name, kept, discard) for name, kept, discard in log[:3]] == [
        (name, (), 5) for name in "abc"
    ]
    for start in range(3, len(log), 3):
        names, sentences, discards = zip(*log[start : start + 3], strict=True)
        assert sorted(names) == ["a", "b", "c"]
        assert len(set(sentences)) == 1
        assert discards == (2, 2, 2)
    assert samples["b"].end_to_end_ms.shape == (4, 6)
    assert (samples["b"].end_to_end_ms == 2.0).all()
    assert (samples["b"].model_ms == 1.0).all()
    assert samples["b"].rounds == (0, 1, 2, 3)


@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_model_that_fails_leaves_the_others_to_go_on(fails_at):
    log: list = []
    models = [Fake("a", 1.0, log), Fake("b", 2.0, log, fails_at=fails_at), Fake("c", 3.0, log)]
    samples, failed = measure(models, LatencySettings(rounds=5, sentences=4))

    assert failed == ["b"]
    assert models[1].calls == fails_at
    assert set(samples) == {"a", "c"}
    assert samples["a"].end_to_end_ms.shape == samples["c"].end_to_end_ms.shape == (5, 4)


def test_when_time_is_up_the_least_is_still_measured():
    settings = LatencySettings(rounds=50, sentences=2, min_rounds=3)
    done: list = []
    samples, _ = measure(
        [Fake("a", 1.0, [])], settings, seconds=0.0, progress=lambda *step: done.append(step)
    )

    assert samples["a"].rounds == (0, 1, 2)
    assert done[-1] == (3, 50)


def test_drift_cancels_out_of_the_ratio():
    drift = np.linspace(1, 5, 12)[:, None]  # the machine slows down five-fold on the way
    sentences = np.random.default_rng(0).uniform(1, 3, size=(12, 10))
    slow = Samples(tuple(range(12)), 6 * sentences * drift, sentences)
    fast = Samples(tuple(range(12)), sentences * drift, sentences)
    faster = speedup(slow, fast)

    assert faster is not None
    assert (faster.low, faster.value, faster.high) == pytest.approx((6, 6, 6))


def test_ratio_uses_only_rounds_of_both():
    reference = Samples((0, 1, 2, 3), np.array([[1.0], [1.0], [8.0], [8.0]]), np.ones((4, 1)))
    later = Samples((2, 3), np.array([[4.0], [4.0]]), np.ones((2, 1)))
    never = Samples((7,), np.ones((1, 1)), np.ones((1, 1)))

    shared = speedup(reference, later)
    assert shared is not None
    assert shared.value == 2.0
    assert speedup(reference, never) is None


def test_summary_has_ordered_percentiles_of_all_timings():
    summary = summarize(np.random.default_rng(0).lognormal(1, 0.5, size=(20, 25)))

    assert summary.n == 500
    assert summary.p50_low <= summary.p50 <= summary.p50_high <= summary.p90 <= summary.p99


@pytest.mark.parametrize(
    "wrong", [{"rounds": -1}, {"sentences": 0}, {"warmup": -1}, {"pause_s": -0.1}]
)
def test_settings_that_measure_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|cannot"):
        LatencySettings(**wrong)


def test_each_timed_turn_begins_with_a_rest(monkeypatch):
    log: list = []
    monkeypatch.setattr(latency.time, "sleep", log.append)
    models = [Fake("a", 1.0, log), Fake("b", 2.0, log)]
    measure(models, LatencySettings(rounds=2, sentences=3, pause_s=0.25))

    assert [entry if isinstance(entry, float) else "turn" for entry in log] == [
        *["turn"] * 2,  # warming up
        *[0.25, "turn"] * 4,
    ]
