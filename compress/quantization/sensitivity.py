"""Measures what INT8 costs in each linear layer, emulated in PyTorch."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.quantization.fake_quantization import fake_quantized
from compress.quantization.interception import linear_layers
from compress.system.progress import Progress
from export.quantization import QuantizationPlan

__all__ = ["Sensitivity", "layer_sensitivities"]


@dataclass(frozen=True)
class Sensitivity:
    """Gain of returning one layer to float.

    Attributes:
        layer: Its name in plans, such as `layers.2.feed_forward.down`.
        all_int8: KL (nats, mean over texts) from the float model's answers to the plan's.
        without: The same with this layer in float.
    """

    layer: str
    all_int8: float
    without: float

    @property
    def gain(self) -> float:
        """Fall of the KL (nats); below 0 where it rises by chance."""
        return self.all_int8 - self.without


def layer_sensitivities(
    model: LeanEncoderWithHead,
    plan: QuantizationPlan,
    texts: TokenizedTexts,
    *,
    progress: Progress,
    batch_size: int = 64,
) -> list[Sensitivity]:
    """Return how far answers move when all layers but one are INT8, for each one, worst first.

    Taking one layer out, rather than quantizing it alone, measures what is to be decided: errors of
    layers add up in ways that no single one shows. The divergence from the float model's answers
    needs no labels and, unlike accuracy, shows small changes on a hundred texts.

    Args:
        model: Float, finished; left as it was.
        plan: How it is to be quantized for ONNX Runtime; layers that it leaves in float already are
            not looked at. For OpenVINO, which is static, give a static plan.
        texts: A hundred or some hundreds; labels are not looked at.
        progress: Told of each layer.
        batch_size: Texts at once. Their ranges are each text's own, so this changes no answer.

    Raises:
        ValueError: There are no texts, or the plan is float for ONNX Runtime.
        ModelError: The plan is static and has no range for a layer.
    """
    if not len(texts):
        raise ValueError("sensitivities need texts")
    if plan.is_float("onnxruntime"):
        raise ValueError("the plan is float: there is nothing to return to float")

    objective = objective_for(model.config)

    def answers(tried: QuantizationPlan) -> NDArray[np.float32]:
        with fake_quantized(model, tried, fixed=True):
            return predict_logits(model, texts, batch_size=batch_size)

    names = [name for name in linear_layers(model) if not plan.keeps_in_float(name)]
    with progress.track("measuring what INT8 costs", len(names) + 2) as task:
        reference = predict_logits(model, texts, batch_size=batch_size)
        task.advance()
        all_int8 = divergence(answers(plan), reference, objective)
        task.advance(kl=all_int8)
        found = []
        for name in names:
            logits = answers(replace(plan, float_layers=(*plan.float_layers, name)))
            found.append(Sensitivity(name, all_int8, divergence(logits, reference, objective)))
            task.advance()
    # by the order of the layers where they tie, so that the order is always the same
    return sorted(found, key=lambda entry: -entry.gain)
