"""Times models of given sizes as they would be deployed: exported, opened and run one by one.

What sizes cost depends on the machine, the precision and the lengths of the texts, and not on the
weights: those are random.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
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
from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.encoder.heads.registry import build
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import SlicePlan, slice_model
from compress.system.progress import Progress, Waiting
from export.onnx import build_onnx
from export.quantization import QuantizationPlan
from runtimes.adapters.onnxruntime import open_model

__all__ = [
    "Conditions",
    "Layers",
    "MeasureShapes",
    "ShapeTimes",
    "largest_of",
    "measure_shapes",
]

_log = logging.getLogger("edgepress")

Layers = tuple[LayerSizes, ...]
"""A model's layers."""

Inputs = dict[str, NDArray[np.int64]]

_SENTENCES, _WARMUP, _MOST_ROUNDS = 25, 8, 200
# A call looks up a few dozen rows. Drawn evenly from 4,096 they miss a core's own cache about as
# often as frequent words among 30,000 do; the rest would only make the files slow to write.
_WORDS = 4096


TABLE_SECONDS = 75.0  # enough for a table to keep


@dataclass(frozen=True)
class Conditions:
    """Conditions that models are timed under.

    Attributes:
        lengths: Tokens of the data's texts.
        plan: How the deployed model is quantized; None is float.
        threads: CPU threads; None is one a physical core.
        seconds: Wall-clock time for building and timing; every model gets one turn whatever it is.
        scratch: Existing folder for the models' files; None is the system's for temporary files.
    """

    lengths: Sequence[int]
    plan: QuantizationPlan | None
    threads: int | None
    seconds: float = TABLE_SECONDS
    scratch: Path | None = None


@dataclass(frozen=True)
class ShapeTimes:
    """Times of some models.

    Attributes:
        ms: (N,) p50 milliseconds.
        doubt: Why they are not to be relied on; "" where they are.
        watched: Whether the system told meanwhile who uses its cores.
    """

    ms: NDArray[np.float64]
    doubt: str = ""
    watched: bool = False


MeasureShapes = Callable[[LeanEncoderConfig, Sequence[Layers], Conditions, Progress], ShapeTimes]
"""A function that times models, such as `measure_shapes`."""


def measure_shapes(
    config: LeanEncoderConfig, shapes: Sequence[Layers], conditions: Conditions, progress: Progress
) -> ShapeTimes:
    """Time models with random weights at batch 1, the model alone, in ONNX Runtime.

    In each round every model is opened, warmed up, and times the same lengths, drawn as the
    benchmark draws its sentences. A model's figure is the median of its rounds' medians. Only one
    is open at a time, so memory does not grow with their number. A turn that other processes
    disturbed is taken again.

    Args:
        config: What the models share; its layers are not looked at.
        shapes: N models, each with at least one layer.
        conditions: Lengths, precision, threads and time.
        progress: Told of the seconds that have passed.

    Raises:
        ValueError: There are no lengths, or they are not within 1 to the model's positions.
    """
    lengths, seconds = conditions.lengths, conditions.seconds
    if len(lengths) == 0 or min(lengths) < 1 or max(lengths) > config.max_position_embeddings:
        raise ValueError(
            f"latency is measured at lengths from 1 to {config.max_position_embeddings} tokens"
        )
    rng = np.random.default_rng(0)
    medians: list[list[float]] = [[] for _ in shapes]
    with (
        tempfile.TemporaryDirectory(prefix="edgepress-latency-", dir=conditions.scratch) as folder,
        progress.track("measuring what sizes cost here", max(1, round(seconds))) as task,
    ):
        watch = Watch(
            threads=conditions.threads,
            on_wait=partial(Waiting(progress).show, task),
        )
        clock = _Deadline(seconds, task.advance, watch)
        paths = [Path(folder) / f"{index}.onnx" for index in range(len(shapes))]
        for path, model in zip(paths, _models(config, shapes), strict=True):
            path.write_bytes(build_onnx(model, conditions.plan, padded=False).SerializeToString())
            clock.tick()
        warmup = [_inputs(config, lengths[i], rng) for i in warmup_sentences(lengths, _WARMUP)]
        draws = sample_rounds(lengths, rounds=_MOST_ROUNDS, sentences=_SENTENCES, seed=0)
        for number, draw in enumerate(draws):
            inputs = [_inputs(config, lengths[int(index)], rng) for index in draw]
            for index in turn_order(len(shapes), number):
                if number > 0 and clock.over:
                    break
                turn = partial(_turn, paths[index], warmup, inputs, conditions)
                medians[index].append(watch.repeat(turn))
                clock.tick()
            if clock.over:
                break
    _log.info("timed %d models in %d rounds", len(shapes), max(map(len, medians)))
    ms = np.asarray([np.median(rounds) for rounds in medians])
    seen = watch.disturbance()
    return ShapeTimes(ms, _doubt(medians, seen), seen.watched)


def _doubt(medians: Sequence[Sequence[float]], seen: Disturbance) -> str:
    """Return why models' medians by round are not to be relied on; "" where they are."""
    if seen.kept:
        return f"{seen.describe()} in {seen.kept} of {seen.measured} turns"
    far = np.concatenate([outlying(rounds) for rounds in medians])
    if far.mean() > UNLIKE:
        return f"{far.sum()} of {len(far)} turns were more than {FACTOR:g} times off their model's"
    return ""


def _models(config: LeanEncoderConfig, shapes: Sequence[Layers]) -> Iterator[LeanEncoderWithHead]:
    """Yield a model for each shape: slices of one, because drawing random weights is slow."""
    deepest = max(map(len, shapes))
    layers = [largest_of([shape[i] for shape in shapes if i < len(shape)]) for i in range(deepest)]
    words = min(config.vocab_size, _WORDS)
    with torch.random.fork_rng(devices=[]):  # a run must not depend on whether a table was cached
        torch.manual_seed(0)
        largest = build(config.replaced(vocab_size=words, layers=[asdict(x) for x in layers]))
    for shape in shapes:
        plan = SlicePlan(
            layers=range(len(shape)),
            heads={index: range(layer.heads) for index, layer in enumerate(shape)},
            neurons={index: range(layer.intermediate_size) for index, layer in enumerate(shape)},
        )
        yield slice_model(largest, plan)


def largest_of(layers: Sequence[LayerSizes]) -> LayerSizes:
    """Return the sizes of a layer that any of the layers, of one head size, can be cut from."""
    return LayerSizes(
        heads=max(layer.heads for layer in layers),
        head_size=layers[0].head_size,
        intermediate_size=max(layer.intermediate_size for layer in layers),
    )


def _inputs(config: LeanEncoderConfig, length: int, rng: np.random.Generator) -> Inputs:
    ids = rng.integers(0, min(config.vocab_size, _WORDS), size=(1, length), dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return {**inputs, "token_type_ids": np.zeros_like(ids)} if config.type_vocab_size else inputs


def _turn(
    path: Path, warmup: Sequence[Inputs], inputs: Sequence[Inputs], conditions: Conditions
) -> float:
    """Return the median milliseconds of one model's turn."""
    precision = "fp32" if conditions.plan is None else "int8"
    session = open_model(path, threads=conditions.threads, precision=precision)
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


class _Deadline:
    """Tells when the time is up, and meanwhile reports whole seconds; waiting does not count."""

    def __init__(self, seconds: float, advance: Callable[[int], None], watch: Watch) -> None:
        self._seconds, self._advance, self._watch = seconds, advance, watch
        self._start, self._reported = time.monotonic(), 0

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._start - self._watch.spent_s

    @property
    def over(self) -> bool:
        return self._passed > self._seconds

    def tick(self) -> None:
        passed = int(min(self._passed, self._seconds))
        if passed > self._reported:
            self._advance(passed - self._reported)
            self._reported = passed
