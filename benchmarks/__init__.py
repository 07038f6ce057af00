"""Measures models where they run: latency, accuracy, memory, size, each with its uncertainty.

`benchmarks.run.benchmark` measures, `benchmarks.report` holds and stores what was measured, and
`benchmarks.render` writes it down for people. Nothing here imports torch or transformers.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

if TYPE_CHECKING:
    from benchmarks.examples import Examples
    from benchmarks.latency import LatencySettings
    from benchmarks.report import Report, Row, load_report, save_report
    from benchmarks.run import benchmark
    from benchmarks.subjects import Subject

__all__ = [
    "Examples",
    "LatencySettings",
    "Report",
    "Row",
    "Subject",
    "benchmark",
    "load_report",
    "save_report",
]

__getattr__ = lazy(
    __name__,
    {
        "Examples": "benchmarks.examples",
        "LatencySettings": "benchmarks.latency",
        "Report": "benchmarks.report",
        "Row": "benchmarks.report",
        "Subject": "benchmarks.subjects",
        "benchmark": "benchmarks.run",
        "load_report": "benchmarks.report",
        "save_report": "benchmarks.report",
    },
)
