"""The lean encoder: one architecture that every Transformer-encoder family is folded into.

Imported by `compress.predictions` and above; knows no recipe. Read `modules.py` first.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.encoder.importers.registry import import_encoder

__all__ = ["import_encoder"]


def __getattr__(name: str) -> Any:
    from runtimes.lazy import lazy  # here, for the reason that `compress` has

    return lazy(__name__, {"import_encoder": "compress.encoder.importers.registry"})(name)
