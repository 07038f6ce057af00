"""Measures a family: on texts that choose, and for the table."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.differences import MOST_TEXTS
from benchmarks.examples import Examples
from benchmarks.latency import LatencySettings
from benchmarks.report import Report
from benchmarks.roofline import Peaks
from benchmarks.run import WAITING, benchmark
from benchmarks.subjects import Subject
from compress.errors import ModelError
from compress.system.progress import Progress, Task, Waiting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["REFERENCE", "reference_subject", "run_benchmark"]

_log = logging.getLogger("edgepress")

REFERENCE = "pytorch-fp32"

# All processes of a benchmark together stay about below this; more are measured in groups.
_MEMORY_BYTES = 3_500_000_000


def reference_subject(checkpoint: Path, name: str, threads: int | None) -> Subject:
    """Return the full-precision model as its user runs it: PyTorch, eager, stock tokenizer."""
    return Subject(
        id=REFERENCE,
        model=f"{name} (original)",
        kind="checkpoint",
        path=checkpoint,
        runtime="pytorch",
        precision="fp32",
        threads=threads,
    )


def run_benchmark(
    subjects: Sequence[Subject],
    examples: Examples,
    settings: LatencySettings,
    *,
    seed: int,
    progress: Progress,
    title: str,
    reference: str = REFERENCE,
    cold: Sequence[str] | None = None,
    compared: str | None = None,
    texts: int = MOST_TEXTS,
    peaks: Mapping[int | None, Peaks] | None = None,
    scratch: Path | None = None,
    answers: "dict[str, NDArray[np.float32]] | None" = None,
    unopened: Collection[str] = (),
) -> Report:
    """Benchmark with bars for its parts; arguments are those of `benchmarks.run.benchmark`.

    Raises:
        ModelError: The reference could not be measured; without it there is nothing to compare.
    """
    with ExitStack() as bars:
        report = benchmark(
            subjects,
            examples,
            reference=reference,
            settings=settings,
            seed=seed,
            memory_bytes=_MEMORY_BYTES,
            cold=cold,
            compared=compared,
            texts=texts,
            peaks=peaks,
            scratch=scratch,
            progress=_bars(bars, progress, title),
            answers=answers,
            unopened=unopened,
        )
    if (error := report.row(reference).error) is not None:
        raise ModelError(f"the reference {report.row(reference).model} cannot be measured: {error}")
    return report


def _bars(stack: ExitStack, progress: Progress, title: str) -> Callable[[str, int, int], None]:
    """Turn the benchmark's calls (description, done, total) into one bar for each part."""
    current: dict[str, Any] = {"part": None, "task": None, "done": 0}
    waiting = Waiting(progress)

    def report(description: str, done: int, total: int) -> None:
        if description == WAITING:  # in the midst of the part under way
            waiting.show(current["task"], done, total)
            return
        part = description.split(":", maxsplit=1)[0]
        if part != current["part"]:
            stack.pop_all().close()
            task: Task = stack.enter_context(progress.track(f"{title}: {part}", total))
            current.update(part=part, task=task, done=0)
        current["task"].advance(done - current["done"])
        current["done"] = done

    return report
