"""INT8: calibration, emulation in PyTorch, sensitivity of layers.

Imported by `compress.distillation`, `compress.pruning` and above; knows no recipe.
Read `fake_quantization.py` first.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

if TYPE_CHECKING:
    from compress.quantization.plan import quantization_plan

__all__ = ["quantization_plan"]

__getattr__ = lazy(__name__, {"quantization_plan": "compress.quantization.plan"})
