"""One model on every runtime, and whether a text has one answer there."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.encoder.importers.registry import import_encoder
from export.package import export_artifact
from export.quantization import QuantizationPlan
from runtimes import load, open_checkpoint
from runtimes.pipeline import Predictor

__all__ = ["export_for_all", "open_on", "same_everywhere"]


def export_for_all(task: Any, folder: Path) -> Path:
    """Export a trained model: INT8 with the ranges of every call for ONNX Runtime, where a text's
    neighbours in a batch count, and what a user has of the others."""
    imported = import_encoder(task.model)
    texts = [text for text, _ in task.make_rows(40, seed=5)]
    export_artifact(
        folder / "artifact",
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=QuantizationPlan({"onnxruntime": "dynamic", "openvino": "plain"}),
        max_length=32,
        calibration=texts[:8],
        checks=texts[:8],
    )
    return folder


def open_on(runtime: str, task: Any, folder: Path, **options: Any) -> Predictor:
    """Open the model on a runtime: the artifact, or the checkpoint in PyTorch."""
    if runtime == "pytorch":
        return open_checkpoint(task.model, threads=1, **options)
    return load(folder / "artifact", runtime=runtime, threads=1, **options)


def same_everywhere(predict: Predictor, texts: Sequence[str], seed: int = 0) -> int:
    """Return how many texts have another answer, label or score, alone than in some list."""
    alone = [predict(text)[0] for text in texts]
    lists = [predict(texts[start : start + 32]) for start in range(0, len(texts), 32)]
    together = [answer for each in lists for answer in each]
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    shuffled = dict(zip(order, predict([texts[i] for i in order]), strict=True))
    return sum(not alone[i] == together[i] == shuffled[i] for i in range(len(texts)))
