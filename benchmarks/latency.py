"""Measures latency by rounds, in each of which every model times the same sentences in its turn.

A machine drifts (heat, neighbours, clock): measured one model after another, drift looks like
a difference. Measured in turns it hits all alike, and ratios taken within a round are free of it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Percentiles, paired_medians
from benchmarks.stats import Interval, paired_ratio_interval, percentile_interval

__all__ = [
    "LatencySettings",
    "Samples",
    "Timeable",
    "measure_latency",
    "sample_rounds",
    "speedup",
    "summarize",
    "turn_order",
    "warmup_sentences",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LatencySettings:
    """Amounts to measure.

    Attributes:
        rounds: Rounds; each gives every model one turn.
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
        if min(self.rounds, self.sentences, self.min_rounds) < 1:
            raise ValueError("rounds, sentences and min_rounds must be at least 1")
        if min(self.warmup, self.settle, self.pause_s) < 0:
            raise ValueError("warmup, settle and pause_s cannot be negative")


@dataclass(frozen=True)
class Samples:
    """Raw timings of one model.

    Attributes:
        rounds: Numbers of the R rounds it took part in.
        end_to_end_ms: (R, S) milliseconds, text in, label out.
        model_ms: (R, S) milliseconds, the model alone.
    """

    rounds: tuple[int, ...]
    end_to_end_ms: FloatArray
    model_ms: FloatArray


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
    on_failure: Callable[[Timeable, Exception], None],
    failures: tuple[type[Exception], ...],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Samples]:
    """Let all models take turns over the sentences; one is busy at any time.

    Args:
        models: M models, opened.
        rounds: (R, S) example indices of `sample_rounds`.
        warmup: Examples that each model runs before the first round.
        settings: `settle`, `pause_s` and `min_rounds` are read here.
        first_round: Number of the first round, where rounds are measured in several calls.
        seconds: No new round starts after this long (None: no limit).
        on_failure: Told of each model that failed; the others go on.
        failures: Exceptions of `Timeable.time` that count as the model's failure.
        progress: Told of rounds done and in all.

    Returns:
        Samples by model id; models that failed are not in it.
    """
    alive = list(models)
    timings: dict[str, list[tuple[FloatArray, FloatArray]]] = {model.id: [] for model in models}

    def turn(model: Timeable, indices: list[int], discard: int) -> None:
        if len(indices) > discard:
            time.sleep(settings.pause_s)
        try:
            timed = model.time(indices, discard=discard)
        except failures as error:
            alive.remove(model)
            timings.pop(model.id)
            on_failure(model, error)
            return
        if len(indices) > discard:
            timings[model.id].append(timed)

    for model in models if len(warmup) > 0 else ():
        turn(model, list(warmup), len(warmup))
    started = time.monotonic()
    done = 0
    for number, sentences in enumerate(rounds.tolist()):
        late = seconds is not None and time.monotonic() - started > seconds
        if not alive or (late and number >= settings.min_rounds):
            break
        settle = (sentences * settings.settle)[-settings.settle :] if settings.settle else []
        taking_turns = list(alive)
        for place in turn_order(len(taking_turns), number):
            turn(taking_turns[place], settle + sentences, len(settle))
        done += 1
        if progress is not None:
            progress(done, len(rounds))
    numbers = tuple(range(first_round, first_round + done))
    return {
        name: Samples(
            rounds=numbers,
            end_to_end_ms=np.stack([end_to_end for end_to_end, _ in timed]),
            model_ms=np.stack([model_only for _, model_only in timed]),
        )
        for name, timed in timings.items()
        if timed
    }


def summarize(timings_ms: FloatArray, *, seed: int = 0) -> Percentiles:
    """Return percentiles of (R, S) timings; the median's interval resamples rounds."""
    median = percentile_interval(timings_ms, 50.0, seed=seed)
    p90, p99 = np.percentile(timings_ms, [90, 99])
    return Percentiles(
        p50=median.value,
        p90=float(p90),
        p99=float(p99),
        n=int(timings_ms.size),
        p50_low=median.low,
        p50_high=median.high,
    )


def speedup(reference: Samples, model: Samples, *, seed: int = 0) -> Interval | None:
    """Return how many times as fast as the reference a model is, end to end.

    The ratio of the medians within each round that both took part in; of these ratios the median,
    with an interval that resamples rounds. None where they share no round.
    """
    slow, fast = paired_medians(*((of.rounds, of.end_to_end_ms) for of in (reference, model)))
    return paired_ratio_interval(slow, fast, seed=seed) if len(slow) else None
