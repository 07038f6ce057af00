"""Turns a lean encoder into an artifact: files for each runtime, tokenizer, manifest and card.

    from export import QuantizationPlan, export_artifact

Importing this package imports neither torch nor onnx. Imported by `compress`; read `package` first.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.fallback import export_fallback_artifact
    from export.package import Exported, export_artifact
    from export.quantization import QuantizationPlan
    from export.stock import export_stock
    from export.targets.registry import target_names

__all__ = [
    "Exported",
    "QuantizationPlan",
    "export_artifact",
    "export_fallback_artifact",
    "export_stock",
    "target_names",
]

_HOMES = {
    "Exported": "export.package",
    "QuantizationPlan": "export.quantization",
    "export_artifact": "export.package",
    "export_fallback_artifact": "export.fallback",
    "export_stock": "export.stock",
    "target_names": "export.targets.registry",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
