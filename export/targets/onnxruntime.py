"""Files for ONNX Runtime: a padded and an unpadded graph over the same weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.targets.base import Calibration, Scheme, input_names
from runtimes.manifest import ModelEntry

if TYPE_CHECKING:
    from export.quantization import QuantizationPlan

__all__ = ["DESCRIPTION", "RUNTIME", "SCHEMES", "UNQUANTIZED", "write"]

RUNTIME = "onnxruntime"
SCHEMES = {
    "dynamic": Scheme("dynamic INT8, one scale a column"),
    "static": Scheme("static INT8, one scale a column", needs_ranges=True),
    "float": Scheme("float"),
}
DESCRIPTION = (
    "ONNX Runtime's file: INT8 with activation ranges found at every call, or measured on training "
    "texts, or no INT8"
)
UNQUANTIZED = "fp32"


def write(
    module: Any,
    plan: "QuantizationPlan | None",
    calibration: Calibration,  # noqa: ARG001 - ranges are in the plan, or found at every call
    folder: Path,
) -> list[ModelEntry]:
    """Write `onnx/model.onnx`, which holds the weights, and `onnx/unpadded.onnx`."""
    from export.embedded import save_embedded
    from export.onnx import build_onnx

    place = folder / "onnx"
    place.mkdir(parents=True)
    padded, unpadded = (build_onnx(module, plan, padded=padded) for padded in (True, False))
    holder = save_embedded(padded, place / "model.onnx", {"unpadded.onnx": unpadded})
    return [
        ModelEntry(
            runtime=RUNTIME,
            format="onnx",
            path=f"onnx/{name}",
            precision="fp32" if plan is None or plan.is_float(RUNTIME) else "int8",
            variant=variant,
            inputs=input_names(module.config, padded=variant == "padded"),
            weights=() if name == holder else (f"onnx/{holder}",),
        )
        for name, variant in (("model.onnx", "padded"), ("unpadded.onnx", "unpadded"))
    ]
