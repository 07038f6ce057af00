"""Measures this machine's peaks, with products that are made here."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict

from benchmarks.child import module_command
from benchmarks.profiling.peaks import measured_peaks
from benchmarks.roofline import Peaks
from export.products import product_models
from runtimes.cores import usable_cores

__all__ = ["main", "measure_peaks", "peaks_by_threads"]

_log = logging.getLogger("edgepress")


def measure_peaks(threads: int | None = None) -> Peaks:
    """Measure the machine, which takes about five seconds.

    Args:
        threads: CPU threads; None for all cores.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
    """
    return measured_peaks(product_models(), threads or usable_cores())


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
