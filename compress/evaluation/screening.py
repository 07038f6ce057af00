"""Finds the runtimes that are fast enough here for their files to be judged one by one."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import runtimes
from benchmarks.disturbance import Watch
from benchmarks.examples import Examples
from benchmarks.latency import sample_rounds
from compress.errors import DeviceUnavailableError, UsageError
from compress.system.progress import Progress, Waiting
from runtimes.errors import EdgepressError
from runtimes.registry import artifact_runtimes, get_runtime, runtime_title
from runtimes.tuning import time_turn

__all__ = ["TimeTexts", "competing_runtimes", "contenders"]

TimeTexts = Callable[[Path, str, Sequence[Any], int | None], float]
"""(folder, runtime, texts, threads) -> median milliseconds, infinite where it cannot run."""

# Times the fastest runtime's latency up to which another one is looked at. Runtimes change places
# by some percent from one model and quantization scheme to the next, not by a third.
_MARGIN = 1.33
_ROUNDS, _SENTENCES = 2, 20


def competing_runtimes(wanted: Sequence[str] | None = None) -> list[str]:
    """Return the runtimes of artifacts that this machine has, on its CPU.

    Args:
        wanted: Only these; None is all that are installed.

    Raises:
        UsageError: Artifacts have no file for a wanted runtime.
        DeviceUnavailableError: A wanted runtime is not installed.
    """
    known, found = artifact_runtimes(), []
    for name in known if wanted is None else wanted:
        if name not in known:
            raise UsageError(
                f"benchmark.runtimes: {name!r} does not run artifacts",
                hint=f"there are: {', '.join(known)}",
            )
        device = next(each for each in get_runtime(name).devices() if each.device == "cpu")
        if device.available:
            found.append(name)
        elif wanted is not None:
            raise DeviceUnavailableError(f"{name}: {device.detail}", hint=device.hint)
    return found


def contenders(
    artifacts: Sequence[Path],
    names: Sequence[str],
    examples: Examples,
    *,
    threads: int | None,
    seed: int,
    progress: Progress,
    time_texts: TimeTexts | None = None,
) -> tuple[list[str], tuple[str, ...]]:
    """Return the runtimes that may win, judged by the smallest and the largest model.

    Judging a file takes seconds (a process, the accuracy on hundreds of texts): too long for those
    that would have to be several times as fast as they are.

    Args:
        artifacts: Folders that hold a file for each runtime.
        names: Runtimes.
        examples: What to time, of which some dozens are drawn.
        threads: CPU threads; None is the library's default.
        seed: Of the draw.
        progress: Told of each turn.
        time_texts: Times a folder's file for a runtime on texts, with so many threads; by default
            the artifact is loaded and asked.

    Returns:
        The runtimes of `names` that take at most 1.33 times as long as the fastest with any of
        the artifacts (one that cannot be timed stays as well: why is the benchmark's to say), and
        a sentence for each other.
    """
    if len(names) < 2:
        return list(names), ()
    inputs = examples.inputs()
    draws = sample_rounds(examples.characters(), rounds=_ROUNDS, sentences=_SENTENCES, seed=seed)
    turns = list(product(draws.tolist(), artifacts, names))
    medians: dict[tuple[Path, str], list[float]] = {}
    with progress.track("comparing runtimes", len(turns)) as task:
        watch = Watch(threads=threads, on_wait=partial(Waiting(progress).show, task))
        for draw, folder, name in turns:
            texts = [inputs[index] for index in draw]
            turn = partial(time_texts or _turn, folder, name, texts, threads)
            medians.setdefault((folder, name), []).append(watch.repeat(turn))
            task.advance()
    if (seen := watch.disturbance()).kept:
        busy = seen.describe()
        why = f"{busy[0].upper()}{busy[1:]} while runtimes were compared, so all were considered."
        return list(names), (why,)
    ms = {key: float(np.median(rounds)) for key, rounds in medians.items()}
    fastest = {folder: min(ms[folder, name] for name in names) for folder in artifacts}
    left, reasons = [], []
    for name in names:
        taken = [ms[folder, name] for folder in artifacts]
        if math.inf in taken or any(
            own <= _MARGIN * fastest[folder] for own, folder in zip(taken, artifacts, strict=True)
        ):
            left.append(name)
            continue
        reasons.append(_too_slow(name, taken, ms, artifacts, names))
    return left, tuple(reasons)


def _too_slow(
    name: str,
    taken: Sequence[float],
    ms: Mapping[tuple[Path, str], float],
    artifacts: Sequence[Path],
    names: Sequence[str],
) -> str:
    """Say how slow a runtime is, against the one that is fastest with each artifact."""
    faster = [min(names, key=lambda other: ms[folder, other]) for folder in artifacts]
    best = [ms[folder, other] for folder, other in zip(artifacts, faster, strict=True)]
    ratios = sorted(own / other for own, other in zip(taken, best, strict=True))
    times = " to ".join(dict.fromkeys(f"{ratio:.1f}" for ratio in ratios))
    others = " and ".join(dict.fromkeys(map(runtime_title, faster)))
    figures = " and ".join(f"{own:.2f}" for own in taken)
    against = " and ".join(f"{other:.2f}" for other in best)
    return (
        f"{runtime_title(name)} was {times} times slower than {others} here ({figures} ms against "
        f"{against}), so it was not considered. Its files are in the artifact all the same."
    )


def _turn(folder: Path, name: str, texts: Sequence[Any], threads: int | None) -> float:
    """Return the median milliseconds of a text; infinite where the artifact cannot be run."""
    try:
        return time_turn(
            lambda: runtimes.load(folder, runtime=name, threads=threads, verify=False), texts
        )
    except EdgepressError:
        return math.inf
