"""Measures a machine's peaks: of products through ONNX Runtime, of reading from memory."""

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.roofline import Peaks
from runtimes.adapters.onnxruntime import import_onnxruntime

__all__ = ["measured_peaks"]

_SIZES = tuple(2**20 * size for size in (1, 4, 16, 64, 256))  # from caches to memory
_TRIES = 10


def measured_peaks(products: Mapping[str, bytes], threads: int) -> Peaks:
    """Measure the machine, which takes about five seconds.

    Args:
        products: By precision, an ONNX model of one product, `x` to `y` (`export.products`).
        threads: CPU threads.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
    """
    return Peaks(
        threads=threads,
        gmacs={name: _gmacs(model, threads) for name, model in products.items()},
        reading=tuple((size, size / _reading_seconds(size, threads) / 1e9) for size in _SIZES),
    )


def _best(run: Callable[[], object]) -> float:
    """Return the least seconds of some tries: the peak is what is reached, not what is usual."""
    run()
    seconds = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _gmacs(model: bytes, threads: int) -> float:
    """Return billions of multiplications a second."""
    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    (rows, inner), (_, columns) = session.get_inputs()[0].shape, session.get_outputs()[0].shape
    x = np.random.default_rng(0).standard_normal((rows, inner)).astype(np.float32)
    return float(rows * inner * columns / _best(lambda: session.run(["y"], {"x": x})) / 1e9)


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
