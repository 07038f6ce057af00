"""Training of text classifiers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.data.tokenized import TokenizedTexts

__all__ = ["FIGURES", "collator", "features", "figures", "from_tokens", "labelled"]

FIGURES = ("accuracy", "macro_f1", "mcc")


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`; labels are classes, sets of them, or scores."""
    return labelled(examples, tokenizer, length, examples.labels.tolist())


def labelled(
    examples: Examples, tokenizer: Any, length: int, labels: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return the texts as the model takes them, with these labels."""
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


def from_tokens(texts: TokenizedTexts, labels: Sequence[Any]) -> list[dict[str, Any]]:
    """Return tokenized texts as the model takes them, with these labels."""
    rows = [
        {"input_ids": ids.tolist(), "attention_mask": [1] * len(ids), "labels": own}
        for ids, own in zip(texts.ids, labels, strict=True)
    ]
    for row, types in zip(rows, texts.type_ids or (), strict=False):
        row["token_type_ids"] = types.tolist()
    return rows


def collator(tokenizer: Any) -> Any:
    """See `compress.training.tasks.base`."""
    from transformers import DataCollatorWithPadding

    return DataCollatorWithPadding(tokenizer)


def figures(
    predictions: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: tuple[str, ...],  # noqa: ARG001 - the interface's
) -> dict[str, float]:
    """Return accuracy, macro F1 and Matthews' correlation, in points."""
    from sklearn.metrics import f1_score, matthews_corrcoef

    decided = predictions.argmax(axis=-1)
    return {
        "accuracy": 100 * float((decided == labels).mean()),
        "macro_f1": 100 * float(f1_score(labels, decided, average="macro", zero_division=0)),
        "mcc": 100 * float(matthews_corrcoef(labels, decided)),
    }
