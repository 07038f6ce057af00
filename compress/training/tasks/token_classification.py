"""Training classifiers of words: the first token of a word carries its label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import WordLabels
from benchmarks.tasks import get_measure
from compress.data.tokenized import TokenLabels, tokenize

__all__ = ["FIGURES", "collator", "decided", "features", "figures"]

FIGURES = ("f1", "accuracy")
_NONE = -100  # the label of tokens that have none, for Transformers


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`."""
    texts = tokenize(examples, tokenizer, length)
    assert isinstance(texts.targets, TokenLabels)  # examples of this task have words
    found = []
    for index, (ids, tokens) in enumerate(zip(texts.ids, texts.targets.tokens, strict=True)):
        labels = np.full(len(ids), _NONE)
        kept = tokens >= 0
        labels[tokens[kept]] = examples.targets.of(index)[kept]
        found.append(
            {
                "input_ids": ids.tolist(),
                "attention_mask": [1] * len(ids),
                "labels": labels.tolist(),
            }
        )
    return found


def collator(tokenizer: Any) -> Any:
    """See `compress.training.tasks.base`."""
    from transformers import DataCollatorForTokenClassification

    return DataCollatorForTokenClassification(tokenizer, label_pad_token_id=_NONE)


def decided(
    predictions: NDArray[np.float32], labels: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], Examples]:
    """See `compress.training.tasks.base`; words that were cut off do not count."""
    known = labels != _NONE
    words = known.sum(axis=1)
    return predictions[known], Examples(
        ("",) * len(labels), WordLabels(labels[known], words), names, task="token-classification"
    )


def figures(logits: NDArray[np.float32], examples: Examples) -> dict[str, float]:
    """Entity-level F1 (or accuracy, where tags mark no entities) and accuracy of words, in
    points."""
    return {
        "f1": get_measure(examples).metric(logits, examples).value,
        "accuracy": 100 * float((logits.argmax(axis=-1) == examples.labels).mean()),
    }
