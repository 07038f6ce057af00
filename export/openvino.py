"""From a lean encoder to OpenVINO: the portable ONNX graph converted, float or INT8 by NNCF."""

import io
import logging
from pathlib import Path
from typing import Any

import onnx

from export.quantization import QuantizationPlan
from export.targets.base import Calibration
from runtimes.adapters.openvino import import_openvino

__all__ = ["build_openvino", "quantize_openvino", "save_openvino"]


def build_openvino(portable: onnx.ModelProto) -> Any:
    """Convert the portable ONNX model to an `openvino.Model` in float32.

    Args:
        portable: From `export.onnx.build_portable_onnx`.
    """
    return import_openvino().Core().read_model(io.BytesIO(portable.SerializeToString()))


def quantize_openvino(model: Any, plan: QuantizationPlan, calibration: Calibration) -> Any:
    """Quantize to static INT8 with NNCF (per-channel weights, SmoothQuant).

    Biases are not corrected: it changed no digit of what models answer, and took a third of the
    time (docs/log.md).

    Args:
        model: `openvino.Model` in float; not modified.
        plan: How to quantize; with the float scheme the model is returned as it is.
        calibration: Batches of model inputs; each is let go of once NNCF has read it, so memory
            does not grow with their number (NNCF itself keeps a few numbers a channel of each).

    Returns:
        A quantized `openvino.Model`.
    """
    if plan.is_float("openvino"):
        return model
    import nncf

    nncf.set_log_level(logging.ERROR)
    alpha = plan.smooth_quant_alpha if plan.schemes["openvino"] == "smooth" else -1.0
    return nncf.quantize(
        model,
        nncf.Dataset(calibration, dict),
        subset_size=len(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        target_device=nncf.TargetDevice.CPU,
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=_ignored(model, plan),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            # 7-bit weights where u8 x s8 sums may saturate; see QuantizationPlan.reduce_range
            overflow_fix=nncf.OverflowFix.ENABLE if plan.reduce_range else nncf.OverflowFix.DISABLE,
            disable_bias_correction=True,
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=alpha),
        ),
    )


def _ignored(model: Any, plan: QuantizationPlan) -> Any:
    """Return what the plan leaves in float: products and look-ups, by the names of the weights."""
    import nncf

    def left_in_float(operator: str, weight: str) -> bool:
        if operator == "Gather":
            return plan.embeddings == "fp32" and weight in ("words", "types")
        return operator == "MatMul" and any(weight.startswith(f"{n}.") for n in plan.float_layers)

    names = [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if any(
            left_in_float(node.get_type_name(), source.get_node().get_friendly_name())
            for source in node.input_values()
        )
    ]
    return nncf.IgnoredScope(names=names) if names else None


def save_openvino(model: Any, path: Path) -> None:
    """Write `path` (`.xml`) and its `.bin` beside it, in the precision the model holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    import_openvino().save_model(model, path, compress_to_fp16=False)
