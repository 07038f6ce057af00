"""The `quantize` stage: decide how the encoder is quantized, for every exporter to lower."""

import logging
from dataclasses import replace

from compress.config.recipe import Recipe
from compress.errors import RecipeError
from compress.quantization.mixed_precision import safe_plan
from compress.stages.base import Context, Encoder
from export.quantization import QuantizationPlan
from runtimes.processor import processor_flags

__all__ = ["STAGE", "Quantize", "quantization_plan", "static_ranges"]

_log = logging.getLogger("edgepress")

# How the schemes are called in the lineage.
_ONNXRUNTIME = {
    "dynamic": "dynamic INT8, one scale a column",
    "static": "static INT8, one scale a column",
    "float": "float",
}
_OPENVINO = {
    "smooth": "static INT8 (NNCF)",
    "plain": "static INT8 (NNCF), no SmoothQuant",
    "float": "float",
}


class Quantize:
    """Emits a `QuantizationPlan`: what each runtime's file is quantized by.

    The weights stay as they are; what quantization costs is measured afterwards on the exported
    files themselves.
    """

    name = "quantize"

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse names of layers that the encoder does not have.

        Raises:
            RecipeError: `quantize.float_layers` names an unknown linear layer.
        """
        known = _linear_layers(encoder)
        for layer in context.recipe.quantize.float_layers:
            if layer not in known:
                raise RecipeError(
                    f"quantize.float_layers: there is no linear layer {layer!r}",
                    hint=f"the encoder has, for example: {', '.join(known[:4])}",
                )

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """Attach the plan, with static ranges measured on training texts if it needs them."""
        plan = quantization_plan(context.recipe)
        if context.recipe.quantize.onnxruntime == "static":
            ranges = static_ranges(encoder, context)
            plan = replace(plan, onnxruntime="static", static_ranges=ranges)
        if plan.reduce_range and not context.recipe.quantize.reduce_range:
            _log.info("INT8 weights have 7 bits: sums of 8 may saturate here, there is no VNNI")
        step = {
            "stage": self.name,
            "onnxruntime": _ONNXRUNTIME[plan.onnxruntime],
            "openvino": _OPENVINO[plan.openvino],
            "embeddings": plan.embeddings,
            **({"weight_bits": 7} if plan.reduce_range else {}),
        }
        return replace(encoder, plan=plan, lineage=(*encoder.lineage, step))


def quantization_plan(recipe: Recipe) -> QuantizationPlan:
    """How a recipe wants every member quantized, before anything was measured.

    Static ranges are measured on the finished weights; until then dynamic ones stand in for them.
    """
    settings = recipe.quantize
    plan = QuantizationPlan(
        onnxruntime="dynamic" if settings.onnxruntime == "static" else settings.onnxruntime,
        openvino=settings.openvino,
        embeddings=settings.embeddings,
        reduce_range=settings.reduce_range,
        float_layers=settings.float_layers,
        calibration_texts=settings.calibration_texts,
        smooth_quant_alpha=settings.smooth_quant_alpha,
    )
    return safe_plan(plan, processor_flags())


def static_ranges(encoder: Encoder, context: Context) -> dict[str, tuple[float, float]]:
    """By linear layer, the range of its inputs on training texts."""
    from compress.corpus.corpus import Purpose
    from compress.quantization.calibration import activation_ranges

    count = context.recipe.quantize.calibration_texts
    texts = context.material.sample(count, Purpose.RANGES)
    return activation_ranges(encoder.module, texts, progress=context.progress)


def _linear_layers(encoder: Encoder) -> list[str]:
    parts = ("attention.qkv", "attention.output", "feed_forward.up", "feed_forward.down")
    return [
        f"layers.{index}.{part}"
        for index in range(len(encoder.module.config.layers))
        for part in parts
    ]


STAGE = Quantize()
