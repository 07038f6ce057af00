"""Teaches a student to answer as its teacher does.

Imported by `compress.stages` and above; knows no recipe. Read `matching.py` first.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

if TYPE_CHECKING:
    from compress.distillation.matching import distill

__all__ = ["distill"]

__getattr__ = lazy(__name__, {"distill": "compress.distillation.matching"})
