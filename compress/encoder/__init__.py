"""The lean encoder: one architecture that every Transformer-encoder family is folded into.

Imported by `compress.predictions` and above; knows no recipe. Read `modules.py` first.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

if TYPE_CHECKING:
    from compress.encoder.importers.registry import import_encoder

__all__ = ["import_encoder"]

__getattr__ = lazy(__name__, {"import_encoder": "compress.encoder.importers.registry"})
