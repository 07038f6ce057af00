"""Costs of a model of given sizes on a device, measured or predicted.

Imported by `compress.corpus` and above; knows no recipe. Read `table.py` first.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

if TYPE_CHECKING:
    from compress.latency.measurement import measure_latency_table

__all__ = ["measure_latency_table"]

__getattr__ = lazy(__name__, {"measure_latency_table": "compress.latency.measurement"})
