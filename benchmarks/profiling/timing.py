"""Times probes, small models that differ in size, one after the other as they would be deployed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.disturbance import Disturbance, Watch
from benchmarks.latency import (
    FACTOR,
    UNLIKE,
    outlying,
    sample_rounds,
    turn_order,
    warmup_sentences,
)
from runtimes.registry import get_runtime

__all__ = ["Deadline", "Probe", "ProbeTimes", "Texts", "time_probes"]

Inputs = dict[str, NDArray[np.int64]]

_SENTENCES, _WARMUP, _MOST_ROUNDS = 25, 8, 200


@dataclass(frozen=True)
class Probe:
    """A model file, and how it is opened.

    Attributes:
        path: The file.
        runtime: Name of the runtime.
        precision: What it is opened in.
        threads: CPU threads; None is one a physical core.
    """

    path: Path
    runtime: str
    precision: str
    threads: int | None


@dataclass(frozen=True)
class Texts:
    """What probes are asked.

    Attributes:
        lengths: Tokens of the data's texts.
        words: Ids are drawn below it.
        types: Whether the models take token types.
    """

    lengths: Sequence[int]
    words: int
    types: bool

    def draw(self, length: int, rng: np.random.Generator) -> Inputs:
        """Return one row of random ids."""
        ids = rng.integers(0, self.words, size=(1, length), dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return {**inputs, "token_type_ids": np.zeros_like(ids)} if self.types else inputs


@dataclass(frozen=True)
class ProbeTimes:
    """Times of some probes.

    Attributes:
        ms: (N,) p50 milliseconds.
        doubt: Why they are not to be relied on; "" where they are.
        watched: Whether the system told meanwhile who uses its cores.
        rounds: How many times each was timed, at most.
    """

    ms: NDArray[np.float64]
    doubt: str = ""
    watched: bool = False
    rounds: int = 0


class Deadline:
    """Tells when the time is up, and meanwhile reports whole seconds; waiting does not count.

    Args:
        seconds: There are.
        advance: Told how many more have passed.
        watch: Knows what was spent on waiting.
    """

    def __init__(self, seconds: float, advance: Callable[[int], None], watch: Watch) -> None:
        self._seconds, self._advance, self._watch = seconds, advance, watch
        self._start, self._reported = time.monotonic(), 0

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._start - self._watch.spent_s

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self._passed > self._seconds

    def tick(self) -> None:
        """Report what has passed."""
        passed = int(min(self._passed, self._seconds))
        if passed > self._reported:
            self._advance(passed - self._reported)
            self._reported = passed


def time_probes(
    probes: Sequence[Probe], texts: Texts, watch: Watch, deadline: Deadline
) -> ProbeTimes:
    """Time models at batch 1, the model alone.

    In each round every model is opened, warmed up, and times the same lengths, drawn as the
    benchmark draws its sentences. A model's figure is the median of its rounds' medians. Only one
    is open at a time, so memory does not grow with their number. A turn that other processes
    disturbed is taken again.

    Args:
        probes: N models.
        texts: What they are asked.
        watch: Looks at what others do meanwhile.
        deadline: Ends the rounds; every model gets one turn whatever it says.

    Raises:
        EdgepressError: A model cannot be opened.
    """
    rng = np.random.default_rng(0)
    lengths = texts.lengths
    medians: list[list[float]] = [[] for _ in probes]
    warmup = [texts.draw(lengths[i], rng) for i in warmup_sentences(lengths, _WARMUP)]
    draws = sample_rounds(lengths, rounds=_MOST_ROUNDS, sentences=_SENTENCES, seed=0)
    for number, draw in enumerate(draws):
        inputs = [texts.draw(lengths[int(index)], rng) for index in draw]
        for index in turn_order(len(probes), number):
            if number > 0 and deadline.over:
                break
            medians[index].append(watch.repeat(partial(_turn, probes[index], warmup, inputs)))
            deadline.tick()
        if deadline.over:
            break
    ms = np.asarray([np.median(rounds) for rounds in medians])
    seen = watch.disturbance()
    return ProbeTimes(ms, _doubt(medians, seen), seen.watched, max(map(len, medians)))


def _doubt(medians: Sequence[Sequence[float]], seen: Disturbance) -> str:
    """Return why models' medians by round are not to be relied on; "" where they are."""
    if seen.kept:
        return f"{seen.describe()} in {seen.kept} of {seen.measured} turns"
    far = np.concatenate([outlying(rounds) for rounds in medians])
    if far.mean() > UNLIKE:
        return f"{far.sum()} of {len(far)} turns were more than {FACTOR:g} times off their model's"
    return ""


def _turn(probe: Probe, warmup: Sequence[Inputs], inputs: Sequence[Inputs]) -> float:
    """Return the median milliseconds of one model's turn."""
    session = get_runtime(probe.runtime).open_model(
        probe.path, threads=probe.threads, precision=probe.precision
    )
    try:
        for batch in warmup:
            session.run(batch)
        timings = []
        for batch in inputs:
            start = time.perf_counter()
            session.run(batch)
            timings.append(time.perf_counter() - start)
    finally:
        session.close()
    return 1000.0 * float(np.median(timings))
