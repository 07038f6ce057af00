"""Removes heads, neurons and layers, and repairs what is left without training.

Imported by `compress.stages` and above; knows no recipe. Read `to_latency.py` first.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

if TYPE_CHECKING:
    from compress.pruning.heads import prune_heads
    from compress.pruning.to_latency import prune_to_latency

__all__ = ["prune_heads", "prune_to_latency"]

__getattr__ = lazy(
    __name__,
    {
        "prune_heads": "compress.pruning.heads",
        "prune_to_latency": "compress.pruning.to_latency",
    },
)
