"""Files for ONNX Runtime: graphs for padded rows, for others, and for old versions."""

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

# File, variant, and the first ONNX Runtime that answers rightly: 1.24 opens the first two as well,
# and takes padding for text.
_FILES = (
    ("padded.onnx", "padded", "1.25"),
    ("unpadded.onnx", "unpadded", "1.25"),
    ("model.onnx", "portable", "1.17"),
)


def write(
    module: Any,
    plan: "QuantizationPlan | None",
    calibration: Calibration,  # noqa: ARG001 - ranges are in the plan, or found at every call
    folder: Path,
) -> list[ModelEntry]:
    """Write `onnx/model.onnx`, which holds the weights, and two graphs that point into it.

    What other libraries look for is the portable one, which any version answers rightly, padded on
    any side. `onnx/padded.onnx` and `onnx/unpadded.onnx` are for versions that are fast with them.
    """
    from export.embedded import save_embedded
    from export.onnx import build_onnx

    place = folder / "onnx"
    place.mkdir(parents=True)
    others = {
        "padded.onnx": build_onnx(module, plan),
        "unpadded.onnx": build_onnx(module, plan, padded=False),
    }
    portable = build_onnx(module, plan, standard=True)
    holder = save_embedded(portable, place / "model.onnx", others)
    return [
        ModelEntry(
            runtime=RUNTIME,
            format="onnx",
            path=f"onnx/{name}",
            precision="fp32" if plan is None or plan.is_float(RUNTIME) else "int8",
            variant=variant,
            inputs=input_names(module.config, padded=variant != "unpadded"),
            weights=() if name == holder else (f"onnx/{holder}",),
            needs=needs,
        )
        for name, variant, needs in _FILES
    ]
