"""Training of models that choose one of several endings."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import Choices
from benchmarks.tasks.multiple_choice import by_question
from compress.errors import DataError
from compress.training.tasks.text_classification import figures, labelled

__all__ = ["FIGURES", "collator", "features", "figures"]

FIGURES = ("accuracy",)


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """Return one feature per question, with K rows each (`compress.training.tasks.base`).

    Raises:
        DataError: Questions have different numbers of choices: they do not fit into a batch.
    """
    assert isinstance(examples.targets, Choices)  # examples of this task have them
    _, starts, counts = np.unique(examples.targets.questions, return_index=True, return_counts=True)
    if len(set(counts.tolist())) > 1:
        raise DataError(
            f"questions have {counts.min()} to {counts.max()} choices; a batch takes one number"
        )
    rows = labelled(examples, tokenizer, length, [None] * len(examples))
    _, right = by_question(examples.labels[:, None].astype(np.float32), examples)
    names = [name for name in rows[0] if name != "labels"]
    return [
        {
            **{name: [row[name] for row in rows[start : start + count]] for name in names},
            "labels": int(label),
        }
        for start, count, label in zip(starts, counts, right, strict=True)
    ]


def collator(tokenizer: Any) -> Any:
    """See `compress.training.tasks.base`."""
    from transformers import DataCollatorForMultipleChoice

    return DataCollatorForMultipleChoice(tokenizer)
