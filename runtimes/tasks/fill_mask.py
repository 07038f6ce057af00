"""Fill-mask: a text with masked tokens to the tokens that fit best."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError
from runtimes.tasks.base import Outputs, TaskSpec
from runtimes.tasks.text_classification import from_line, scores
from runtimes.tasks.token_classification import parse

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = [
    "MASKS",
    "SPEC",
    "decisions",
    "from_line",
    "lines",
    "parse",
    "places",
    "postprocess",
    "record",
]

SPEC = TaskSpec(
    name="fill-mask",
    auto_class="AutoModelForMaskedLM",
    head="mask",
    model="a masked-language model",
    outputs="vocab_size",
    reads_tokens=True,
    labels=(),
    columns=("tokens", "text"),
    example="some [MASK] text",
    trained_by="Train it by: edgepress train BASE --data TEXT --objective mlm",
)

MASKS = ("[MASK]", "<mask>")
"""What tokenizers call the token that stands for a masked one."""


def places(encoding: "Encoding") -> list[int]:
    """Return which tokens of an input are masked: of the others, the answers are not kept."""
    return [index for index, token in enumerate(encoding.tokens) if token in MASKS]


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],  # noqa: ARG001 - the same for all tasks
    problem_type: str,  # noqa: ARG001
    *,
    top_k: int = 5,
) -> list[Any]:
    """Turn logits into what `transformers.pipeline("fill-mask")` returns.

    Args:
        outputs: Of N texts, the logits (masks_i, V) of their masked tokens.
        labels: Say nothing here.
        problem_type: Says nothing here.
        top_k: How many tokens to name, the best first.

    Returns:
        N lists of `{"score", "token", "token_str", "sequence"}`; of a text with several masks a
        list of such a list for each of them.

    Raises:
        UsageError: `top_k` is not positive.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; it must be at least 1.")
    results: list[Any] = []
    for encoding, logits in zip(outputs.encodings, outputs.logits, strict=True):
        masked = places(encoding)
        found = [
            _filled(outputs, encoding, place, row, top_k)
            for place, row in zip(masked, logits, strict=True)
        ]
        results.append(found[0] if len(found) == 1 else found)
    return results


def decisions(outputs: Outputs) -> Array:
    """Return (M, V): a row a masked token, text after text; zeros where the text was cut off."""
    rows = []
    for text, logits in zip(outputs.inputs, outputs.logits, strict=True):
        missing = sum(text.count(mask) for mask in MASKS) - len(logits)
        rows += [logits, np.zeros((max(missing, 0), logits.shape[1]), dtype=np.float32)]
    return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def lines(text: str, result: Any) -> list[list[str]]:
    """Return a line a mask: the best tokens with their scores, and the text."""
    several = result if result and isinstance(result[0], list) else [result]
    return [
        [" ".join(f"{each['token_str']} {each['score']:.4f}" for each in found), text]
        for found in several
    ]


def record(text: str, result: Any) -> dict[str, Any]:
    """Return the text, and what may stand at its masks."""
    return {"text": text, "predictions": result}


def _filled(
    outputs: Outputs, encoding: "Encoding", place: int, logits: Array, top_k: int
) -> list[dict[str, Any]]:
    chances = scores(logits, "softmax")
    best = np.argsort(-logits, kind="stable")[:top_k]
    special = encoding.special_tokens_mask
    # As the pipeline has it, also where a special token is the answer.
    unwritten = {*MASKS, *(t for t, own in zip(encoding.tokens, special, strict=True) if own)}
    found = []
    for index in best.tolist():
        token = outputs.token(index)
        tokens = [
            token if i == place else other
            for i, other in enumerate(encoding.tokens)
            if (token not in unwritten if i == place else not special[i] or other in MASKS)
        ]
        found.append(
            {
                "score": float(chances[index]),
                "token": index,
                "token_str": outputs.decode([token]).strip(),
                "sequence": outputs.decode(tokens).strip(),
            }
        )
    return found
