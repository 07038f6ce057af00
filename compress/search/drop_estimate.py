"""What an encoder probably loses, told from the selection split before anything is exported."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.expected import ExpectedDrop, expected_drop
from benchmarks.tasks import get_measure
from compress.predictions.predict import predict_logits
from compress.quantization.fake_quantization import fake_quantized
from compress.search.selection import probable_drop

if TYPE_CHECKING:
    from compress.stages.base import Context, Encoder

__all__ = ["drop_of", "float_drop", "probable", "quantized_drop"]


def float_drop(encoder: "Encoder", context: "Context") -> ExpectedDrop:
    """What the encoder loses in float."""
    return drop_of(predict_logits(encoder.module, context.material.selection.texts), context)


def quantized_drop(encoder: "Encoder", context: "Context") -> ExpectedDrop:
    """What it loses in INT8 as the recipe has it, emulated; in float where it has none."""
    from compress.stages.quantize import quantization_plan

    if "quantize" not in context.recipe.stages:
        return float_drop(encoder, context)
    with fake_quantized(encoder.module, quantization_plan(context.recipe)):
        return float_drop(encoder, context)


def drop_of(logits: NDArray[np.float32], context: "Context") -> ExpectedDrop:
    """What a model with these answers (M, C) to the selection split loses."""
    material = context.material
    examples, texts = material.selection_examples, material.selection.texts
    if examples.answers is not None and texts.labels is not None:
        # By the tokens at which answers start and end: their text is the deployed file's to find.
        return expected_drop(material.selection.teacher_logits, logits, texts.labels)
    return get_measure(examples).expected_drop(material.selection.teacher_logits, logits, examples)


def probable(lost: ExpectedDrop, context: "Context") -> float:
    """The drop (points) that the true one stays below with the probability that the recipe asks."""
    return probable_drop(lost, context.recipe.confidence)
