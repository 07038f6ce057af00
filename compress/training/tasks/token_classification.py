"""Training of word classifiers: the first token of a word carries its label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import WordLabels
from benchmarks.tasks import get_measure
from compress.data.tokenized import TokenLabels, tokenize
from compress.training.tasks.text_classification import from_tokens

__all__ = ["FIGURES", "collator", "features", "figures"]

FIGURES = ("f1", "accuracy")
_NONE = -100  # the label of tokens that have none, for Transformers


def features(examples: Examples, tokenizer: Any, length: int) -> Sequence[dict[str, Any]]:
    """See `compress.training.tasks.base`."""
    texts = tokenize(examples, tokenizer, length)
    assert isinstance(texts.targets, TokenLabels)  # examples of this task have words
    labels = []
    for index, (ids, tokens) in enumerate(zip(texts.ids, texts.targets.tokens, strict=True)):
        own = np.full(len(ids), _NONE)
        kept = tokens >= 0
        own[tokens[kept]] = examples.targets.of(index)[kept]
        labels.append(own.tolist())
    return from_tokens(texts, labels)


def collator(tokenizer: Any) -> Any:
    """See `compress.training.tasks.base`."""
    from transformers import DataCollatorForTokenClassification

    return DataCollatorForTokenClassification(tokenizer, label_pad_token_id=_NONE)


def figures(
    predictions: NDArray[np.float32], labels: NDArray[np.int64], names: tuple[str, ...]
) -> dict[str, float]:
    """Return entity-level F1 and the accuracy of words, in points.

    Where tags mark no entities the first one is accuracy too. Words that were cut off do not count.
    """
    known = labels != _NONE
    logits, true = predictions[known], labels[known]
    examples = Examples(
        ("",) * len(labels),
        WordLabels(true, known.sum(axis=1)),
        names,
        task="token-classification",
    )
    return {
        "f1": get_measure(examples).metric(logits, examples).value,
        "accuracy": 100 * float((logits.argmax(axis=-1) == true).mean()),
    }
