"""Measures latency by rounds, in each of which every model times the same sentences in its turn.

A machine drifts (heat, neighbours, clock): measured one model after another, drift looks like
a difference. Measured in turns it hits all alike, and ratios taken within a round are free of it.
Other processes hit some models more than others: rounds that they disturb are timed again.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.disturbance import Disturbance, Watch
from benchmarks.report import Percentiles, paired_medians
from benchmarks.stats import (
    Interval,
    paired_ratio_interval,
    percentile_bounds,
    percentile_interval,
)

__all__ = [
    "FACTOR",
    "UNLIKE",
    "LatencySettings",
    "Samples",
    "Timeable",
    "doubt",
    "measure_latency",
    "outlying",
    "sample_rounds",
    "speedup",
    "summarize",
    "turn_order",
    "warmup_sentences",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_Timed = tuple[FloatArray, FloatArray]  # end to end, model only

FACTOR = 1.5
"""Times that the ends of a ratio's interval may be apart, and a round's median from the others'."""
UNLIKE = 0.25
"""Share of a model's rounds that may be further off than that."""
_REPEATS = 2  # of rounds that are


@dataclass(frozen=True)
class LatencySettings:
    """Amounts to measure.

    Attributes:
        rounds: Rounds; each gives every model one turn. 0: accuracy alone, nothing is timed.
        sentences: Sentences timed in a turn, the same for all models of the round.
        warmup: Sentences, from shortest to longest, that each model runs before the first round.
        settle: Sentences at the start of each turn that are run and not counted: they bring the
            model back into the caches that the previous turn filled.
        pause_s: Seconds of rest before each turn. ONNX Runtime's threads wait for the next call at
            full speed, for 55 ms after the last one: on a core that the next model's are timed on.
        seconds: No new round starts after this long (None: no limit), but see `min_rounds`.
        min_rounds: Rounds that are measured whatever the time.
        throughput_inputs: Inputs, at most, that throughput in batches is measured on; 0 leaves it
            out.
        throughput_batches: Batch sizes that are tried.
        throughput_sessions: Whether artifacts are tried with a session a thread as well.
        cold_starts: Fresh processes that the time to the first answer is the median of, at least;
            0 leaves it out.
        lengths: Tokens of the inputs that latency by length is measured on.
    """

    rounds: int = 20
    sentences: int = 25
    warmup: int = 20
    settle: int = 3
    pause_s: float = 0.06
    seconds: float | None = 120.0
    min_rounds: int = 5
    throughput_inputs: int = 512
    throughput_batches: tuple[int, ...] = (32,)
    throughput_sessions: bool = False
    cold_starts: int = 0
    lengths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.sentences, self.min_rounds) < 1 or self.rounds < 0:
            raise ValueError("sentences and min_rounds must be at least 1, rounds at least 0")
        if min(self.warmup, self.settle, self.pause_s) < 0:
            raise ValueError("warmup, settle and pause_s cannot be negative")


@dataclass(frozen=True)
class Samples:
    """Raw timings of one model.

    Attributes:
        rounds: Numbers of the R rounds it took part in.
        end_to_end_ms: (R, S) milliseconds, text in, label out.
        model_ms: (R, S) milliseconds, the model alone.
        disturbed: Those of the rounds that other processes disturbed.
    """

    rounds: tuple[int, ...]
    end_to_end_ms: FloatArray
    model_ms: FloatArray
    disturbed: tuple[int, ...] = ()


class Timeable(Protocol):
    """A model that takes turns, such as `benchmarks.client.Worker`."""

    @property
    def id(self) -> str: ...

    def time(self, indices: Sequence[int], *, discard: int) -> tuple[FloatArray, FloatArray]:
        """Run the examples one by one; the first `discard` are not counted.

        Returns:
            End-to-end and model-only milliseconds, each (len(indices) - discard,).

        Raises:
            SubjectError: The model failed; it takes no further turn.
        """
        ...


def sample_rounds(lengths: Sequence[int], *, rounds: int, sentences: int, seed: int) -> IntArray:
    """Draw each round's sentences so that every round has the data's own length distribution.

    The examples are sorted by length and cut into `sentences` equal strata; a round takes one from
    each, in shuffled order. Rounds so differ less from each other than with simple random samples,
    and no length is favoured.

    Args:
        lengths: N lengths in any unit.
        rounds: R.
        sentences: S; at most N are taken.
        seed: Seed of the draw.

    Returns:
        (R, min(S, N)) example indices.

    Raises:
        ValueError: There are no examples.
    """
    if len(lengths) == 0:
        raise ValueError("there is nothing to sample from")
    rng = np.random.default_rng(seed)
    by_length = np.argsort(np.asarray(lengths), kind="stable")
    strata = np.array_split(by_length, min(sentences, len(lengths)))
    drawn = np.stack([rng.choice(stratum, size=rounds) for stratum in strata], axis=1)
    return rng.permuted(drawn, axis=1).astype(np.int64)


def warmup_sentences(lengths: Sequence[int], count: int) -> list[int]:
    """Return `count` examples spread evenly from the shortest to the longest.

    Libraries allocate and compile when a shape is new; that belongs before the measurement.
    """
    by_length = np.argsort(np.asarray(lengths), kind="stable")
    places = np.linspace(0, len(by_length) - 1, num=min(count, len(by_length)))
    return [int(by_length[int(place)]) for place in places]


def turn_order(count: int, round_number: int) -> list[int]:
    """Return the order of turns: rotated from round to round, every second round backwards.

    Rotation gives each model every place in the order; reversal changes which model it follows.
    """
    order = [(i + round_number // 2) % count for i in range(count)]
    return order[::-1] if round_number % 2 else order


def measure_latency(
    models: Sequence[Timeable],
    rounds: IntArray,
    warmup: Sequence[int],
    settings: LatencySettings,
    *,
    first_round: int = 0,
    seconds: float | None = None,
    watch: Watch,
    on_failure: Callable[[Timeable, Exception], None],
    failures: tuple[type[Exception], ...],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Samples]:
    """Let all models take turns over the sentences; one is busy at any time.

    A round that others disturbed is timed again, and so is at last one in which a model's median is
    far from that of its other rounds, as long as the watch is patient. Rounds that stay disturbed
    are left out where enough others are there, and marked where not; after one of these no more
    than the least is timed.

    Args:
        models: M models, opened.
        rounds: (R, S) example indices of `sample_rounds`.
        warmup: Examples that each model runs before the first round.
        settings: `settle`, `pause_s` and `min_rounds` are read here.
        first_round: Number of the first round, where rounds are measured in several calls.
        seconds: No new round starts after this long (None: no limit), waiting and what was timed
            again not counted.
        watch: Watches the cores.
        on_failure: Told of each model that failed; the others go on.
        failures: Exceptions of `Timeable.time` that count as the model's failure.
        progress: Told of rounds done and in all.

    Returns:
        Samples by model id; models that failed are not in it.
    """
    alive = list(models)

    def turn(model: Timeable, indices: list[int], discard: int) -> _Timed | None:
        if len(indices) > discard:
            time.sleep(settings.pause_s)
        try:
            return model.time(indices, discard=discard)
        except failures as error:
            alive.remove(model)
            on_failure(model, error)
            return None

    def play(number: int) -> dict[str, _Timed]:
        sentences = rounds[number].tolist()
        settle = (sentences * settings.settle)[-settings.settle :] if settings.settle else []
        taking_turns = list(alive)
        timed = {
            taking_turns[place].id: turn(taking_turns[place], settle + sentences, len(settle))
            for place in turn_order(len(taking_turns), number)
        }
        return {name: timings for name, timings in timed.items() if timings is not None}

    for model in models if len(warmup) > 0 else ():
        turn(model, list(warmup), len(warmup))
    started, before = time.monotonic(), watch.spent_s
    played: dict[int, dict[str, _Timed]] = {}
    disturbed: set[int] = set()
    for number in range(len(rounds)):
        late = (
            seconds is not None and time.monotonic() - started - (watch.spent_s - before) > seconds
        )
        in_vain = bool(disturbed) and watch.disturbed and not watch.patient
        if not alive or ((late or in_vain) and number >= settings.min_rounds):
            break
        played[number] = watch.repeat(partial(play, number))
        if watch.disturbed:
            disturbed.add(number)
        if progress is not None:
            progress(number + 1, len(rounds))
    for _ in range(_REPEATS):
        for number in _outlying(played, [model.id for model in alive]):
            if watch.patient:
                watch.begin()
                timed = play(number)
                if watch.over():
                    played[number] = timed
                    watch.discard(number in disturbed)
                    disturbed.discard(number)
    quiet = [number for number in played if number not in disturbed]
    if disturbed and len(quiet) >= min(settings.min_rounds, len(rounds)):
        watch.discard(len(disturbed))
        played, disturbed = {number: played[number] for number in quiet}, set()
    return {
        model.id: Samples(
            rounds=tuple(first_round + number for number in played),
            end_to_end_ms=np.stack([timed[model.id][0] for timed in played.values()]),
            model_ms=np.stack([timed[model.id][1] for timed in played.values()]),
            disturbed=tuple(first_round + number for number in sorted(disturbed)),
        )
        for model in alive
        if played
    }


def _outlying(played: Mapping[int, Mapping[str, _Timed]], names: Sequence[str]) -> list[int]:
    """Return the rounds in which a model's median is far from its median round."""
    numbers = list(played)
    found = np.zeros(len(numbers), dtype=bool)
    for name in names:
        found |= outlying([float(np.median(played[number][name][0])) for number in numbers])
    return [number for number, far in zip(numbers, found, strict=True) if far]


def outlying(medians: Sequence[float] | FloatArray) -> NDArray[np.bool_]:
    """Return which of the (R,) medians of rounds are more than 1.5 times off their median."""
    values = np.asarray(medians, dtype=np.float64)
    if not len(values):
        return np.zeros(0, dtype=bool)
    far = np.abs(np.log(values) - np.log(np.median(values))) > math.log(FACTOR)
    return np.asarray(far)


def summarize(timings_ms: FloatArray, *, disturbed: bool = False, seed: int = 0) -> Percentiles:
    """Return percentiles of (R, S) timings; the median's interval resamples rounds.

    Args:
        timings_ms: Milliseconds.
        disturbed: Whether others disturbed a round: a p99 would be theirs, and is left out.
        seed: Of resampling.
    """
    median = percentile_interval(timings_ms, 50.0, seed=seed)
    p90, p99 = np.percentile(timings_ms, [90, 99])
    low, high = (None, None) if disturbed else percentile_bounds(timings_ms, 99.0) or (None, None)
    return Percentiles(
        p50=median.value,
        p90=float(p90),
        p99=None if disturbed else float(p99),
        n=int(timings_ms.size),
        p50_low=median.low,
        p50_high=median.high,
        p99_low=low,
        p99_high=high,
    )


def speedup(reference: Samples, model: Samples, *, seed: int = 0) -> Interval | None:
    """Return how many times as fast as the reference a model is, end to end.

    The ratio of the medians within each round that both took part in; of these ratios the median,
    with an interval that resamples rounds. None where they share no round.
    """
    slow, fast = paired_medians(*((of.rounds, of.end_to_end_ms) for of in (reference, model)))
    return paired_ratio_interval(slow, fast, seed=seed) if len(slow) else None


def doubt(reference: Samples, model: Samples, ratio: Interval, disturbance: Disturbance) -> str:
    """Return why the ratio of two models is not to be named; "" where it may be.

    Args:
        reference: What the model is compared with.
        model: The model.
        ratio: Their `speedup`.
        disturbance: Of the rounds, and of what was timed beside them.
    """
    shared = set(reference.rounds) & set(model.rounds)
    disturbed = shared & {*reference.disturbed, *model.disturbed}
    if disturbed:
        stayed = f" and did not stop within {disturbance.patience_s:.0f} s"
        return (
            f"{disturbance.describe()} in {len(disturbed)} of {len(shared)} rounds"
            f"{stayed if disturbance.patience_s else ''}"
        )
    if disturbance.keeps_coming:
        return (
            f"{disturbance.describe()} in {disturbance.disturbed} of {disturbance.measured} "
            f"timings, and came {disturbance.spells} times"
        )
    if ratio.high > FACTOR * ratio.low:
        return f"the ends of its 95% interval are {ratio.high / ratio.low:.1f} times apart"
    for name, samples in (("the reference", reference), ("the model", model)):
        far = outlying(np.median(samples.end_to_end_ms, axis=1))
        if far.mean() > UNLIKE:
            return (
                f"the rounds disagree: in {far.sum()} of {len(far)} {name}'s time was more than "
                f"{FACTOR:g} times off its median"
            )
    return ""
