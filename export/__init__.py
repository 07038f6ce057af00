"""Turns a lean encoder into an artifact: files for each runtime, tokenizer, manifest and card.

    from export import QuantizationPlan, export_artifact

Importing this package imports neither torch nor onnx. Imported by `compress`; read `package` first.
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy

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

__getattr__ = lazy(
    __name__,
    {
        "Exported": "export.package",
        "QuantizationPlan": "export.quantization",
        "export_artifact": "export.package",
        "export_fallback_artifact": "export.fallback",
        "export_stock": "export.stock",
        "target_names": "export.targets.registry",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
