"""Decides how a model is quantized, for every exporter to lower."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from compress.quantization.mixed_precision import safe_plan
from compress.system.progress import Progress, SilentProgress
from export.quantization import QuantizationPlan
from export.targets.registry import get_target
from runtimes.base import TextInput
from runtimes.processor import processor_flags

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["quantization_plan"]


def quantization_plan(
    schemes: Mapping[str, str] | None = None,
    *,
    model: "LeanEncoderWithHead | None" = None,
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    texts: Sequence[TextInput] = (),
    embeddings: Literal["int8", "fp32"] = "int8",
    reduce_range: bool = False,
    float_layers: Sequence[str] = (),
    calibration_texts: int = 128,
    smooth_quant_alpha: float = 0.95,
    progress: Progress | None = None,
) -> QuantizationPlan:
    """Return how a model is to be quantized to INT8; nothing of the model is changed.

    Weights are quantized symmetrically, one scale a column; activations by their scheme. Where this
    processor has no VNNI, weights get 7 bits, as sums of 8 may saturate.

    Args:
        schemes: Scheme by runtime, such as `{"onnxruntime": "static"}`; others get the default.
        model: Lean encoder that is to be exported. Asked for by schemes with static ranges of
            activations alone, as are `tokenizer` and `texts`.
        tokenizer: Its tokenizer.
        texts: Strings, or pairs, that the ranges are measured on; the first `calibration_texts`.
        embeddings: Precision of the word table: INT8 has one scale a word.
        reduce_range: Whether weights get 7 bits on every processor.
        float_layers: Linear layers left in float, such as `layers.2.feed_forward.down`.
        calibration_texts: Texts for static ranges.
        smooth_quant_alpha: Strength of SmoothQuant in static quantization, negative for none
            (https://arxiv.org/abs/2211.10438).
        progress: Told of each batch; None shows nothing.

    Raises:
        ValueError: There is no such runtime or scheme, or ranges are asked for without a model.
        DataError: There are no texts to measure ranges on.
    """
    plan = QuantizationPlan(
        schemes or {},
        embeddings=embeddings,
        reduce_range=reduce_range,
        float_layers=tuple(float_layers),
        calibration_texts=calibration_texts,
        smooth_quant_alpha=smooth_quant_alpha,
    )
    plan = safe_plan(plan, processor_flags())
    ranged = [n for n, s in plan.schemes.items() if get_target(n).SCHEMES[s].needs_ranges]
    if not ranged:
        return plan
    if model is None or tokenizer is None:
        raise ValueError(
            f"{ranged[0]}={plan.schemes[ranged[0]]}: its ranges are measured on a model, with its "
            "tokenizer and texts"
        )
    from dataclasses import replace

    from compress.data.unlabelled import tokenize_unlabelled
    from compress.quantization.calibration import activation_ranges

    tokens = tokenize_unlabelled(texts[:calibration_texts], tokenizer, model.config)
    ranges = activation_ranges(model, tokens, progress=progress or SilentProgress())
    return replace(plan, static_ranges=ranges)
