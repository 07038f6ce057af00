"""Text classification: one text or a pair of texts to a label with a score."""

from collections.abc import Sequence
from math import exp, isfinite
from typing import Any

import numpy as np

from runtimes.base import Array, TextInput
from runtimes.errors import UsageError, not_finite
from runtimes.tasks.base import Outputs, Parsed, TaskSpec

__all__ = [
    "SPEC",
    "decisions",
    "from_line",
    "lines",
    "parse",
    "postprocess",
    "postprocess_one",
    "record",
    "scores",
]

SPEC = TaskSpec(
    name="text-classification",
    auto_class="AutoModelForSequenceClassification",
    head="sequence",
    model="a text classifier",
    default_labels=2,
    columns=("label", "score", "text", "text_pair"),
    by_problem={"multi_label_classification": "multi_label", "regression": "regression"},
    asked=("text", "text_pair"),
    optional=1,
    answered={"label": "BYTES", "score": "FP32"},
    served={"top_k": 5},  # as the hub's own service
    alternatives=True,
)


def parse(inputs: Any) -> Parsed:
    """Read a text, a `(text, text_pair)` tuple, a `{"text", "text_pair"}` dict, or a list of these.

    As Transformers does, a text alone is answered with a list of one `{"label", "score"}`, a pair
    with the dict itself. (Transformers wraps each result of a list in a list of one where `top_k=1`
    is spelt out; here it is the default and changes nothing.)

    Raises:
        TypeError: `inputs` is something else.
    """
    if isinstance(inputs, str):
        return Parsed([inputs], lambda results: results if _is_best(results[0]) else results[0])
    if isinstance(inputs, tuple | dict):
        return Parsed([_item(inputs)], lambda results: results[0])
    if isinstance(inputs, Sequence):
        return Parsed([_item(item) for item in inputs], lambda results: results)
    raise TypeError(f"Expected a text or a list of texts, not {type(inputs).__name__}.")


def decisions(outputs: Outputs) -> Array:
    """Return (N, C), one decision a text."""
    return np.asarray(outputs.logits)


def from_line(line: str) -> TextInput:
    """Return the line; the two texts of a pair have a tab between them."""
    first, tab, second = line.partition("\t")
    return (first, second) if tab else line


def lines(text: str, result: Any) -> list[list[str]]:
    """Return label, score and text."""
    return [[result["label"], f"{result['score']:.4f}", *text.split("\t", 1)]]


def record(text: str, result: Any) -> dict[str, Any]:
    """Return the text, its label and score."""
    return {"text": text, **result}


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],
    problem_type: str,
    *,
    top_k: int | None = 1,
    function_to_apply: str | None = None,
    return_all_scores: bool = False,
) -> list[Any]:
    """Turn logits into what `transformers.pipeline("text-classification")` returns for a list.

    Args:
        outputs: Of N texts, logits (N, C).
        labels: C class names.
        problem_type: `"single_label_classification"`, `"multi_label_classification"` or
            `"regression"`; decides on softmax, sigmoid or no function, as in Transformers (a
            single output is a sigmoid too).
        top_k: 1 gives one `{"label", "score"}` an input; another number, or None for all classes,
            gives a list of them, best first.
        function_to_apply: `"softmax"`, `"sigmoid"` or `"none"` to overrule the problem type.
        return_all_scores: All classes in the order of the labels, as in Transformers 4.

    Raises:
        UsageError: `function_to_apply` is none of these, or `top_k` is not positive.
    """
    if top_k is not None and top_k < 1:
        raise UsageError(f"top_k is {top_k}; it must be at least 1, or None for all classes.")
    logits = np.asarray(outputs.logits)
    best_alone = top_k == 1 and not return_all_scores
    if best_alone and function_to_apply is None:  # to the last bit as a text alone
        return [postprocess_one(row, labels, problem_type) for row in logits]
    values = scores(logits, function_to_apply or _function(problem_type, len(labels)))
    if return_all_scores:
        return [
            [
                {"label": label, "score": float(score)}
                for label, score in zip(labels, row, strict=True)
            ]
            for row in values
        ]
    # Ranked by logits: every function here is monotonic, but scores may round to the same number.
    if top_k == 1:
        best = logits.argmax(axis=-1).tolist()
        return [
            {"label": labels[index], "score": float(row[index])}
            for row, index in zip(values, best, strict=True)
        ]
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :top_k]
    return [
        [{"label": labels[i], "score": float(row[i])} for i in indices]
        for row, indices in zip(values, order.tolist(), strict=True)
    ]


def postprocess_one(logits: Array, labels: Sequence[str], problem_type: str) -> dict[str, Any]:
    """Return the best class of one input.

    Args:
        logits: float (C,).
        labels: C class names.
        problem_type: See `postprocess`.

    Raises:
        ArtifactError: A logit is no number, or infinite.
    """
    values = logits.tolist()
    top = max(values)
    label = labels[values.index(top)]
    function = _function(problem_type, len(labels))
    if function == "softmax":
        # softmax at the maximum is exp(0) / sum(exp(x - max)). Plain Python: at the few classes of
        # a classifier each numpy call costs more than the whole loop.
        total = 0.0
        for value in values:
            total += exp(value - top)
        if total != total:  # noqa: PLR0124 - not a number: neither is one of the logits, or the top
            raise not_finite()
        return {"label": label, "score": 1.0 / total}
    score = float(scores(logits, function).max())
    if not isfinite(score):
        raise not_finite()
    return {"label": label, "score": score}


def scores(logits: Array, function: str) -> Array:
    """Apply `"softmax"`, `"sigmoid"` or `"none"` over the last axis; the shape stays.

    Raises:
        UsageError: There is no such function.
    """
    match function.lower():
        case "softmax":
            exponents: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
            softmax: Array = exponents / exponents.sum(axis=-1, keepdims=True)
            return softmax
        case "sigmoid":
            # tanh does not overflow where exp(-x) would.
            halves: Array = np.tanh(logits * 0.5)
            return 0.5 * (1.0 + halves)
        case "none":
            return logits
    raise UsageError(
        f"There is no function {function!r} to apply; there are: softmax, sigmoid, none."
    )


def _function(problem_type: str, classes: int) -> str:
    if problem_type == "regression":
        return "none"
    return "sigmoid" if problem_type == "multi_label_classification" or classes == 1 else "softmax"


def _is_best(result: Any) -> bool:
    """Return whether a result is the best class alone, not a list of classes."""
    return isinstance(result, dict)


def _item(item: Any) -> TextInput:
    match item:
        case str():
            return item
        case (str() as text, str() as pair):
            return text, pair
        case {"text": str() as text, "text_pair": str() as pair}:
            return text, pair
        case {"text": str() as text}:
            return text
    raise TypeError(
        'Expected a text, a pair (text, text_pair) or {"text": ..., "text_pair": ...}, '
        f"not {item!r:.80}."
    )
