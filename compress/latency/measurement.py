"""Measures a latency table on this machine, and keeps it.

Sizes of the measured models are drawn so that each grid point occurs equally often, beside layers
of other sizes, as it will in pruned models.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import describe_environment
from benchmarks.profiling.measure import TABLE_SECONDS
from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.latency.probe import (
    Conditions,
    Layers,
    MeasureShapes,
    largest_of,
    measure_shapes,
)
from compress.latency.table import LatencyTable, fit_latency_table, head_grid, neuron_grid
from compress.system.cache import user_cache_dir
from compress.system.fingerprint import digest
from compress.system.progress import Progress, SilentProgress
from export.quantization import QuantizationPlan
from runtimes.folders import write_text

__all__ = [
    "cached_latency_table",
    "default_cache_folder",
    "measure_latency_table",
    "measured_table",
    "shapes_to_measure",
    "shared_sizes",
    "table_of",
]

_log = logging.getLogger("edgepress")

_FORMAT = 3  # of a cached table, of the way it is measured, and of the graph
_MIXED_SHAPES = 56
# Fields of the configuration that latency depends on; the rest is weights, names and training.
_DECIDING = (
    "embedding_size",
    "hidden_size",
    "layers",
    "hidden_act",
    "max_relative_distance",
    "distance_vectors",
    "type_vocab_size",
    "num_labels",
    "classifier_activation",
    "first_token_last_layer",
    "head",
    "pooling",
    "normalized",
)


def measure_latency_table(
    config: LeanEncoderConfig,
    lengths: Sequence[int],
    *,
    plan: QuantizationPlan | None = None,
    threads: int | None = None,
    seconds: float = TABLE_SECONDS,
    progress: Progress | None = None,
    measure: MeasureShapes = measure_shapes,
) -> LatencyTable:
    """Measure what layers, heads and neurons cost on this machine, in ONNX Runtime on the CPU.

    Models of many sizes take turns, and non-negative least squares find each size's share.

    Args:
        config: The largest model that the table is for; of its weights nothing is needed.
        lengths: (N,) tokens of the data's texts, special tokens included.
        plan: How the deployed model is quantized; None is float.
        threads: CPU threads of the deployed model; None is one a physical core.
        seconds: Wall-clock time to measure; less gives a coarser table.
        progress: Told of the seconds that have passed; None shows nothing.
        measure: Times the models.

    Returns:
        The table; `.predict(sizes)` gives the milliseconds of a model of these sizes.

    Raises:
        ValueError: There are no lengths, or the layers differ in head size.
    """
    conditions = Conditions(lengths, plan, threads, seconds)
    return measured_table(config, conditions, progress or SilentProgress(), measure=measure)


def measured_table(
    config: LeanEncoderConfig,
    conditions: Conditions,
    progress: Progress,
    *,
    measure: MeasureShapes = measure_shapes,
) -> LatencyTable:
    """Do the work of `measure_latency_table`."""
    shapes = shapes_to_measure(config)
    times = measure(config, shapes, conditions, progress)
    table = table_of(config, shapes, times.ms)
    now = datetime.now(UTC).isoformat(timespec="minutes")
    return replace(table, measured=now, doubt=times.doubt, watched=times.watched)


def table_of(
    config: LeanEncoderConfig, shapes: Sequence[Layers], ms: NDArray[np.float64]
) -> LatencyTable:
    """Return the table that fits how long models of some shapes took.

    Args:
        config: The largest model that the table is for.
        shapes: N models.
        ms: (N,) their milliseconds.
    """
    heads, neurons = _grids(config)
    return fit_latency_table(shapes, ms, heads=heads, neurons=neurons)


def cached_latency_table(
    folder: Path,
    config: LeanEncoderConfig,
    conditions: Conditions,
    progress: Progress,
    *,
    doubtful: Path | None = None,
    remeasure: bool = False,
    measure: MeasureShapes = measure_shapes,
) -> LatencyTable:
    """Measure a table, or read it: it is kept in `folder` by sizes, conditions and machine.

    A table that was measured in less than the usual time is kept apart from the others. One that is
    not to be relied on is kept in the folder `doubtful` alone, which belongs to a run: what it
    began with, it goes on with. With `remeasure` none is read.

    A file that cannot be read, or is no table, is measured and written again. A folder that
    cannot be written to costs the cache and nothing else.
    """
    name = f"{_key(config, conditions)}.json"
    own = [] if doubtful is None else [doubtful / name]
    for path in () if remeasure else (*own, folder / name):
        if (kept := _read(path)) is not None:
            return kept
    table = measured_table(config, conditions, progress, measure=measure)
    try:
        for path in own:
            path.unlink(missing_ok=True)
        for path in own if table.doubt else [folder / name]:
            write_text(path, json.dumps(table.to_json()))
    except OSError as error:
        _log.warning("the latency table is not kept: %s", error)
    return table


def _read(path: Path) -> LatencyTable | None:
    try:
        return LatencyTable.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("%s is no latency table (%s): measuring again", path, error)
        return None


def default_cache_folder() -> Path:
    """Return where tables are kept by default: `latency` in the user's cache."""
    return user_cache_dir() / "latency"


def shared_sizes(config: LeanEncoderConfig) -> dict[str, Any]:
    """Return what latency depends on, but for the layers' sizes, as JSON values."""
    names = (name for name in _DECIDING if name != "layers")
    shared: dict[str, Any] = json.loads(json.dumps({name: getattr(config, name) for name in names}))
    return shared


def _largest(config: LeanEncoderConfig) -> LayerSizes:
    sizes = config.layer_sizes
    if len({layer.head_size for layer in sizes}) != 1:
        raise ValueError("a latency table needs at least one layer, and one head size for all")
    return largest_of(sizes)


def _grids(config: LeanEncoderConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    largest = _largest(config)
    return head_grid(largest.heads), neuron_grid(largest.intermediate_size)


def shapes_to_measure(config: LeanEncoderConfig) -> list[Layers]:
    """Return full-size models of several depths, and mixed ones in which grid points take turns.

    Raises:
        ValueError: There are no layers, or they differ in head size.
    """
    rng = np.random.default_rng(0)
    largest, depth = _largest(config), len(config.layers)
    heads, neurons = _grids(config)
    depths = sorted({d for d in (1, 2, 3, 4, (4 + depth) // 2, depth) if d <= depth})
    # The last layer has costs of its own, so its sizes are drawn apart.
    inner_heads, last_heads = _reshuffled(heads, rng), _reshuffled(heads, rng)
    inner_neurons, last_neurons = _reshuffled(neurons, rng), _reshuffled(neurons, rng)

    def mixed(layers: int) -> Layers:
        inner = [
            LayerSizes(next(inner_heads), largest.head_size, next(inner_neurons))
            for _ in range(layers - 1)
        ]
        return (*inner, LayerSizes(next(last_heads), largest.head_size, next(last_neurons)))

    full = [(largest,) * d for d in depths]
    return full + [mixed(depths[number % len(depths)]) for number in range(_MIXED_SHAPES)]


def _reshuffled(values: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    """Yield the values in random order, again and again in another."""
    while True:
        yield from (values[index] for index in rng.permutation(len(values)))


def _key(config: LeanEncoderConfig, conditions: Conditions) -> str:
    environment, plan = describe_environment(), conditions.plan
    return digest(
        _FORMAT,
        {name: getattr(config, name) for name in _DECIDING},
        np.bincount(np.asarray(conditions.lengths, dtype=np.int64)).tolist(),
        # what the graph is made of: calibration has no part in its speed
        None
        if plan is None
        else (plan.schemes["onnxruntime"], plan.embeddings, plan.reduce_range, plan.float_layers),
        conditions.threads,
        environment["cpu"],
        environment["libraries"].get("onnxruntime"),
        # A quick measurement is not taken for a proper one.
        *((conditions.seconds,) if conditions.seconds < TABLE_SECONDS else ()),
    )
