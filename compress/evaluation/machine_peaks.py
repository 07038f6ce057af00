"""Measures this machine's peaks: of products through ONNX Runtime, of reading from memory."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import module_command
from benchmarks.roofline import Peaks
from runtimes.adapters.onnxruntime import import_onnxruntime
from runtimes.cores import usable_cores

__all__ = ["main", "measure_peaks", "peaks_by_threads"]

_log = logging.getLogger("edgepress")

_ROWS, _INNER, _COLUMNS = 256, 1024, 2048  # of the products that the peaks are measured on
_SIZES = tuple(2**20 * size for size in (1, 4, 16, 64, 256))  # from caches to memory
_TRIES = 10


def measure_peaks(threads: int | None = None) -> Peaks:
    """Measure the machine, which takes about five seconds.

    Args:
        threads: CPU threads; None for all cores.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
    """
    count = threads or usable_cores()
    macs = _ROWS * _INNER * _COLUMNS
    return Peaks(
        threads=count,
        gmacs={
            "fp32": macs / _best(_product(count, int8=False)) / 1e9,
            "int8": macs / _best(_product(count, int8=True)) / 1e9,
        },
        reading=tuple((size, size / _reading_seconds(size, count) / 1e9) for size in _SIZES),
    )


def peaks_by_threads(
    counts: Iterable[int | None], *, timeout_s: float = 120.0
) -> dict[int | None, Peaks]:
    """Return the peaks for each count of threads (None: all cores), measured in a process of
    their own, of which nothing stays behind.

    A count that cannot be measured is missing, and why is in the log.
    """
    found: dict[int | None, Peaks] = {}
    for count in sorted(set(counts), key=lambda count: count or 0):
        try:
            done = subprocess.run(
                [
                    *module_command("compress.evaluation.machine_peaks"),
                    *([str(count)] if count else []),
                ],
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=True,
            )
            found[count] = Peaks.from_json(json.loads(done.stdout))
        except (OSError, subprocess.SubprocessError, ValueError, TypeError, KeyError) as error:
            _log.warning("the peaks of this machine cannot be measured: %s", error)
    return found


def main() -> None:
    """Print the peaks as JSON, with as many threads as the argument says."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else None
    print(json.dumps(asdict(measure_peaks(threads))))  # noqa: T201 - this is what it is for


def _best(run: Callable[[], object]) -> float:
    """Return the least seconds of some tries: the peak is what is reached, not what is usual."""
    run()
    seconds = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _product(threads: int, *, int8: bool) -> Callable[[], object]:
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    x: NDArray[np.float32] = rng.standard_normal((_ROWS, _INNER)).astype(np.float32)
    if int8:
        weight = rng.integers(-127, 128, (_INNER, _COLUMNS)).astype(np.int8)
        scale = np.full(_COLUMNS, 0.01, np.float32)
        constants = {"w": weight, "s": scale}
        node = helper.make_node(
            "DynamicQuantizeMatMul", ["x", "w", "s"], ["y"], domain="com.microsoft"
        )
    else:
        constants = {"w": rng.standard_normal((_INNER, _COLUMNS)).astype(np.float32)}
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (_ROWS, _COLUMNS))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(["y"], {"x": x})


def _reading_seconds(size: int, threads: int) -> float:
    """Return the least seconds for reading so many bytes once, each thread its share."""
    values = np.ones(size // 4, np.float32)
    parts = np.array_split(values, threads)
    times = max(1, _SIZES[-1] // size)

    def read(part: NDArray[np.float32]) -> None:
        for _ in range(times):
            np.dot(part, part)  # BLAS: two multiplications a vector that is read

    def run() -> None:
        workers = [threading.Thread(target=read, args=(part,)) for part in parts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return _best(run) / times
