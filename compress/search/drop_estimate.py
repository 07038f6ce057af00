"""Estimates a model's drop before anything is exported."""

from contextlib import nullcontext

from benchmarks.agreement import lost
from benchmarks.expected import ExpectedDrop, as_measured, expected_drop
from benchmarks.labels import Spans
from benchmarks.metrics import accuracy
from benchmarks.tasks import get_measure
from compress.corpus.selection_split import Selection
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.predict import predict_logits
from compress.quantization.fake_quantization import fake_quantized
from export.quantization import QuantizationPlan

__all__ = ["estimate_drop"]


def estimate_drop(
    module: LeanEncoderWithHead, selection: Selection, plan: QuantizationPlan | None
) -> ExpectedDrop:
    """Return what a model loses (points) on texts that decide.

    Args:
        module: On any device; left as it was.
        selection: The texts with the teacher's answers.
        plan: INT8 to emulate; None is float.
    """
    with fake_quantized(module, plan, fixed=True) if plan is not None else nullcontext():
        logits = predict_logits(module, selection.texts)
    examples, texts = selection.examples, selection.texts
    if isinstance(examples.targets, Spans) and texts.labels is not None:
        # By the tokens at which answers start and end: their text is the deployed file's to find.
        if not examples.labelled:
            return as_measured(lost(accuracy(logits.argmax(axis=1), texts.labels)))
        return expected_drop(selection.teacher_logits, logits, texts.labels)
    return get_measure(examples).expected_drop(selection.teacher_logits, logits, examples)
