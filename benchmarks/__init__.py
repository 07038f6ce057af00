"""Measures models where they run: latency, accuracy, memory, size, each with its uncertainty.

`benchmarks.run.benchmark` measures, `benchmarks.report` holds and stores what was measured, and
`benchmarks.render` writes it down for people. Nothing here imports torch or transformers.
"""

from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "Examples": "benchmarks.examples",
    "LatencySettings": "benchmarks.latency",
    "Report": "benchmarks.report",
    "Row": "benchmarks.report",
    "Subject": "benchmarks.subjects",
    "benchmark": "benchmarks.run",
    "load_report": "benchmarks.report",
    "save_report": "benchmarks.report",
}


def __getattr__(name: str) -> Any:
    # PEP 562: `import benchmarks` itself costs nothing; numpy is loaded by the first name used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
