"""The `quantize` stage: decide how the encoder is quantized, for every exporter to lower."""

from dataclasses import replace

from compress.errors import RecipeError
from compress.stages.base import Context, Encoder
from export.quantization import QuantizationPlan

__all__ = ["STAGE", "Quantize"]


class Quantize:
    """Emits a `QuantizationPlan`: dynamic INT8 for ONNX Runtime, static INT8 for OpenVINO.

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
        """Attach the plan."""
        settings = context.recipe.quantize
        plan = QuantizationPlan(
            embeddings=settings.embeddings,
            reduce_range=settings.reduce_range,
            float_layers=settings.float_layers,
            calibration_texts=settings.calibration_texts,
            smooth_quant_alpha=settings.smooth_quant_alpha,
        )
        step = {
            "stage": self.name,
            "onnxruntime": "dynamic INT8, one scale a column",
            "openvino": "static INT8 (NNCF)",
            "embeddings": settings.embeddings,
        }
        return replace(encoder, plan=plan, lineage=(*encoder.lineage, step))


def _linear_layers(encoder: Encoder) -> list[str]:
    parts = ("attention.qkv", "attention.output", "feed_forward.up", "feed_forward.down")
    return [
        f"layers.{index}.{part}"
        for index in range(len(encoder.module.config.layers))
        for part in parts
    ]


STAGE = Quantize()
