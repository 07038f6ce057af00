"""Builds models of given sizes as they would be deployed, and times them on this machine.

What sizes cost depends on the machine, the precision and the lengths of the texts, and not on the
weights: those are random. `benchmarks.profiling` times them, here and on devices.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.disturbance import Watch
from benchmarks.profiling.measure import TABLE_SECONDS
from benchmarks.profiling.timing import Deadline, Probe, ProbeTimes, Texts, time_probes
from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.encoder.heads.registry import build
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import SlicePlan, slice_model
from compress.system.progress import Progress, Waiting
from export.quantization import QuantizationPlan
from export.targets.base import Calibration
from export.targets.registry import get_target
from runtimes.manifest import ModelEntry

__all__ = [
    "WORDS",
    "Conditions",
    "Layers",
    "MeasureShapes",
    "check_lengths",
    "largest_of",
    "measure_shapes",
    "models_of",
    "write_probe",
]

_log = logging.getLogger("edgepress")

Layers = tuple[LayerSizes, ...]
"""A model's layers."""

WORDS = 4096
"""Rows of probes' word tables, at most.

A call looks up a few dozen rows. Drawn evenly from 4,096 they miss a core's own cache about as
often as frequent words among 30,000 do; the rest would only make the files slow to write.
"""

_RUNTIME = "onnxruntime"  # that this machine's tables are measured in
_PERIOD = 16  # after which weights repeat themselves: they pack well, and cost the same


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


MeasureShapes = Callable[[LeanEncoderConfig, Sequence[Layers], Conditions, Progress], ProbeTimes]
"""A function that times models, such as `measure_shapes`."""


def measure_shapes(
    config: LeanEncoderConfig, shapes: Sequence[Layers], conditions: Conditions, progress: Progress
) -> ProbeTimes:
    """Time models with random weights at batch 1, the model alone, in ONNX Runtime.

    Args:
        config: What the models share; its layers are not looked at.
        shapes: N models, each with at least one layer.
        conditions: Lengths, precision, threads and time.
        progress: Told of the seconds that have passed.

    Raises:
        ValueError: There are no lengths, or they are not within 1 to the model's positions.
    """
    check_lengths(config, conditions.lengths)
    seconds, plan = conditions.seconds, conditions.plan
    precision = "fp32" if plan is None or plan.is_float(_RUNTIME) else "int8"
    with (
        tempfile.TemporaryDirectory(prefix="edgepress-latency-", dir=conditions.scratch) as folder,
        progress.track("measuring what sizes cost here", max(1, round(seconds))) as task,
    ):
        watch = Watch(
            threads=conditions.threads,
            on_wait=partial(Waiting(progress).show, task),
        )
        deadline = Deadline(seconds, task.advance, watch)
        probes = []
        for index, model in enumerate(models_of(config, shapes)):
            place = Path(folder) / str(index)
            entry = write_probe(model, plan, _RUNTIME, place, ())[0]
            probes.append(Probe(place / entry.path, _RUNTIME, precision, conditions.threads))
            deadline.tick()
        texts = Texts(
            conditions.lengths, min(config.vocab_size, WORDS), types=bool(config.type_vocab_size)
        )
        times = time_probes(probes, texts, watch, deadline)
    _log.info("timed %d models in %d rounds", len(shapes), times.rounds)
    return times


def check_lengths(config: LeanEncoderConfig, lengths: Sequence[int]) -> None:
    """Refuse lengths that a model has no positions for.

    Raises:
        ValueError: There are none, or they are not within 1 to the model's positions.
    """
    if len(lengths) == 0 or min(lengths) < 1 or max(lengths) > config.max_position_embeddings:
        raise ValueError(
            f"latency is measured at lengths from 1 to {config.max_position_embeddings} tokens"
        )


def write_probe(
    model: LeanEncoderWithHead,
    plan: QuantizationPlan | None,
    runtime: str,
    folder: Path,
    calibration: Calibration,
) -> list[ModelEntry]:
    """Write a model for a runtime as an artifact has it.

    Returns:
        Its files, the one that answers single texts where all versions fit first.
    """
    entries = get_target(runtime).write(model, plan, calibration, folder)
    order = ("unpadded", "padded", "portable")
    return sorted(entries, key=lambda entry: order.index(entry.variant))


def models_of(config: LeanEncoderConfig, shapes: Sequence[Layers]) -> Iterator[LeanEncoderWithHead]:
    """Yield a model for each shape: slices of one, because drawing random weights is slow."""
    deepest = max(map(len, shapes))
    layers = [largest_of([shape[i] for shape in shapes if i < len(shape)]) for i in range(deepest)]
    words = min(config.vocab_size, WORDS)
    with torch.random.fork_rng(devices=[]):  # a run must not depend on whether a table was cached
        torch.manual_seed(0)
        largest = build(config.replaced(vocab_size=words, layers=[asdict(x) for x in layers]))
    _repeat(largest)
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


def _repeat(model: LeanEncoderWithHead) -> None:
    """Make large matrices of one small part of themselves."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2 and min(weight.shape) >= _PERIOD:
                rows, columns = (-(-size // _PERIOD) for size in weight.shape)
                tiled = weight[:_PERIOD, :_PERIOD].repeat(rows, columns)
                weight.copy_(tiled[: weight.shape[0], : weight.shape[1]])
