"""Sentence embedding: a text to a vector; texts that mean alike have vectors that point alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runtimes.tasks.base import Outputs, Parsed
from runtimes.tasks.text_classification import decisions, from_line

__all__ = [
    "NAME",
    "READS_TOKENS",
    "SHOWN",
    "WINDOWS",
    "decisions",
    "from_line",
    "lines",
    "parse",
    "postprocess",
    "record",
]

NAME = "sentence-embedding"
READS_TOKENS = False
WINDOWS = False
SHOWN: Mapping[str, Any] = {}


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
    """(N, H); without a text nobody says how long its vector were."""
    return np.stack(results) if results else np.zeros((0, 0), np.float32)


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],  # noqa: ARG001 - the same for all tasks
    problem_type: str,  # noqa: ARG001
) -> list[Any]:
    """The vectors of N texts, each float32 (H,)."""
    return list(np.asarray(outputs.logits))


def lines(text: str, result: Any) -> list[str]:
    """The vector's numbers between blanks, and the text."""
    return [f"{' '.join(f'{value:.5f}' for value in result.tolist())}\t{text}"]


def record(text: str, result: Any) -> dict[str, Any]:
    """The text and its vector."""
    return {"text": text, "embedding": [round(value, 6) for value in result.tolist()]}
