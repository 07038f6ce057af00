"""Files for OpenVINO: the portable graph converted, quantized by NNCF."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.targets.base import Calibration, Scheme, input_names
from runtimes.manifest import ModelEntry

if TYPE_CHECKING:
    from export.quantization import QuantizationPlan

__all__ = ["DESCRIPTION", "RUNTIME", "SCHEMES", "UNQUANTIZED", "write"]

RUNTIME = "openvino"
SCHEMES = {
    "smooth": Scheme("static INT8 (NNCF)"),
    "plain": Scheme("static INT8 (NNCF), no SmoothQuant"),
    "float": Scheme("float"),
}
DESCRIPTION = (
    "OpenVINO's file: static INT8 with SmoothQuant, or without, or no INT8 (run in bf16 where the "
    "CPU has it)"
)
# bf16 is what makes a float file worth choosing over an INT8 one: left to the library.
UNQUANTIZED = "auto"


def write(
    module: Any, plan: "QuantizationPlan | None", calibration: Calibration, folder: Path
) -> list[ModelEntry]:
    """Write `openvino_model.xml` and its weights, `openvino_model.bin`."""
    from export.onnx import build_portable_onnx
    from export.openvino import build_openvino, quantize_openvino, save_openvino

    model = build_openvino(build_portable_onnx(module))
    if plan is not None:
        model = quantize_openvino(model, plan, calibration)
    save_openvino(model, folder / "openvino_model.xml")
    return [
        ModelEntry(
            runtime=RUNTIME,
            format="openvino",
            path="openvino_model.xml",
            precision="fp32" if plan is None or plan.is_float(RUNTIME) else "int8",
            inputs=input_names(module.config),
            weights=("openvino_model.bin",),
        )
    ]
