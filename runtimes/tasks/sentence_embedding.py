"""Sentence embedding: a text to a vector; texts that mean alike have vectors that point alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from runtimes.tasks.base import Outputs, Parsed, TaskSpec
from runtimes.tasks.text_classification import decisions, from_line

__all__ = [
    "SPEC",
    "decisions",
    "from_line",
    "lines",
    "parse",
    "postprocess",
    "record",
]

SPEC = TaskSpec(
    name="sentence-embedding",
    auto_class="AutoModel",
    head="embedding",
    model="a sentence-embedding model",
    outputs="hidden_size",
    pooled=True,
    labels=(),
    columns=("embedding", "text"),
    hub_tag="sentence-similarity",
    trained_by="Train it with sentence-transformers, whose folders compress takes.",
    answered={"embedding": "FP32"},
)


def parse(inputs: Any) -> Parsed:
    """Read a text or a list of texts.

    As `SentenceTransformer.encode` does, a text is answered with a vector (H,), a list with N
    vectors (N, H), float32.

    Raises:
        TypeError: `inputs` is something else.
    """
    if isinstance(inputs, str):
        return Parsed([inputs], lambda results: results[0])
    if isinstance(inputs, Sequence) and all(isinstance(item, str) for item in inputs):
        return Parsed(list(inputs), _stacked)
    raise TypeError(f"Expected a text or a list of texts, not {inputs!r:.80}.")


def _stacked(results: list[Any]) -> Any:
    """Return (N, H); (0, 0) without a text, whose vector would say how long it is."""
    return np.stack(results) if results else np.zeros((0, 0), np.float32)


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],  # noqa: ARG001 - the same for all tasks
    problem_type: str,  # noqa: ARG001
) -> list[Any]:
    """Return the vectors of N texts, each float32 (H,)."""
    return list(np.asarray(outputs.logits))


def lines(text: str, result: Any) -> list[list[str]]:
    """Return the vector's numbers between blanks, and the text."""
    return [[" ".join(f"{value:.5f}" for value in result.tolist()), text]]


def record(text: str, result: Any) -> dict[str, Any]:
    """Return the text and its vector."""
    return {"text": text, "embedding": [round(value, 6) for value in result.tolist()]}
