"""Training classifiers of texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels

__all__ = ["FIGURES", "collator", "decided", "features", "figures", "labelled"]

FIGURES = ("accuracy", "macro_f1", "mcc")


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`."""
    return labelled(examples, tokenizer, length, [int(label) for label in examples.labels])


def labelled(
    examples: Examples, tokenizer: Any, length: int, labels: Sequence[Any]
) -> list[dict[str, Any]]:
    """The texts as the model takes them, with these labels."""
    encoded = tokenizer(
        list(examples.texts),
        None if examples.pairs is None else list(examples.pairs),
        truncation=True,
        max_length=length,
    )
    return [
        {**{name: rows[index] for name, rows in encoded.items()}, "labels": label}
        for index, label in enumerate(labels)
    ]


def collator(tokenizer: Any) -> Any:
    """See `compress.training.tasks.base`."""
    from transformers import DataCollatorWithPadding

    return DataCollatorWithPadding(tokenizer)


def decided(
    predictions: NDArray[np.float32], labels: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], Examples]:
    """See `compress.training.tasks.base`."""
    return predictions, Examples(("",) * len(labels), ClassLabels(labels), names)


def figures(logits: NDArray[np.float32], examples: Examples) -> dict[str, float]:
    """Accuracy, macro F1 and Matthews' correlation, in points."""
    from sklearn.metrics import f1_score, matthews_corrcoef

    predictions, labels = logits.argmax(axis=-1), examples.labels
    return {
        "accuracy": 100 * float((predictions == labels).mean()),
        "macro_f1": 100 * float(f1_score(labels, predictions, average="macro", zero_division=0)),
        "mcc": 100 * float(matthews_corrcoef(labels, predictions)),
    }
