"""Extractive question answering: a question and a context to the span that answers it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError
from runtimes.tasks.base import Outputs, Parsed, TaskSpec

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = [
    "SPEC",
    "context_tokens",
    "decisions",
    "from_line",
    "lines",
    "parse",
    "postprocess",
    "record",
]

SPEC = TaskSpec(
    name="question-answering",
    auto_class="AutoModelForQuestionAnswering",
    head="span",
    model="a question-answering model",
    reads_tokens=True,
    windows=True,
    longest=384,  # a window, as everybody has it since SQuAD
    default_labels=2,
    columns=("answer", "score", "question", "context"),
    example="Who was it?\tIt was Ada.",
    asked=("question", "context"),
    answered={"answer": "BYTES", "score": "FP32", "start": "INT64", "end": "INT64"},
)

_MOST_TOKENS = 15


def parse(inputs: Any) -> Parsed:
    """Read a `(question, context)` tuple, a `{"question", "context"}` dict, or a list of these.

    Raises:
        TypeError: `inputs` is something else.
    """
    if isinstance(inputs, tuple | dict):
        return Parsed([_item(inputs)], lambda results: results[0])
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        return Parsed([_item(item) for item in inputs], lambda results: results)
    raise TypeError(_expected(inputs))


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],  # noqa: ARG001 - the same for all tasks
    problem_type: str,  # noqa: ARG001
    *,
    top_k: int = 1,
    max_answer_len: int = _MOST_TOKENS,
    handle_impossible_answer: bool = False,
) -> list[Any]:
    """Turn logits into answers, in the form that Transformers' pipeline had.

    Args:
        outputs: Of N questions, the logits (T_i, 2) of start and end in every window of the
            contexts.
        labels: Say nothing here.
        problem_type: Says nothing here.
        top_k: 1 gives one answer a question; more give a list of them, best first.
        max_answer_len: Most tokens of an answer.
        handle_impossible_answer: Whether "no answer" (an empty one) may win.

    Returns:
        N `{"score", "start", "end", "answer"}` or lists of them; `start` and `end` are characters
        of the context, `score` the product of their chances.

    Raises:
        UsageError: `top_k` or `max_answer_len` is not positive.
    """
    if top_k < 1 or max_answer_len < 1:
        raise UsageError("top_k and max_answer_len must be at least 1.")
    results: list[Any] = []
    for index, found in enumerate(_answers(outputs, top_k, max_answer_len)):
        spans = found if handle_impossible_answer else [span for span in found if span[2] > span[1]]
        _, context = cast(tuple[str, str], outputs.inputs[index])
        answers = [
            {"score": score, "start": start, "end": end, "answer": context[start:end]}
            for score, start, end in sorted(spans, reverse=True)[:top_k]
        ]
        if top_k == 1:
            nothing = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
            results.append(answers[0] if answers else nothing)
        else:
            results.append(answers)
    return results


def decisions(outputs: Outputs) -> Array:
    """Return (N, 4): start and end of each best answer in characters of the context, its score, and
    the chance that there is none."""
    rows = np.zeros((len(outputs.inputs), 4), dtype=np.float32)
    for row, found in zip(rows, _answers(outputs, 1, _MOST_TOKENS), strict=True):
        none = [score for score, start, end in found if end <= start]
        spans = [span for span in found if span[2] > span[1]]
        if spans:
            score, start, end = max(spans)
            row[:3] = start, end, score
        row[3] = max(none, default=0.0)
    return rows


def from_line(line: str) -> tuple[str, str]:
    """Return question and context, between which the line has a tab.

    Raises:
        UsageError: There is no tab.
    """
    question, tab, context = line.partition("\t")
    if not tab:
        raise UsageError(
            f"{line!r:.60} is no question with its context",
            hint="put a tab between them: printf 'Who?\\tIt was Ada.' | edgepress predict ARTIFACT",
        )
    return question, context


def lines(text: str, result: Any) -> list[list[str]]:
    """Return answer, score, question and context."""
    return [[result["answer"], f"{result['score']:.4f}", *text.split("\t", 1)]]


def record(text: str, result: Any) -> dict[str, Any]:
    """Return question, context and answer."""
    question, context = from_line(text)
    return {"question": question, "context": context, **result}


def context_tokens(encoding: "Encoding") -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (T,), which tokens are the context's."""
    return np.array([sequence == 1 for sequence in encoding.sequence_ids], dtype=np.bool_)


def _answers(outputs: Outputs, top_k: int, longest: int) -> Iterator[list[tuple[float, int, int]]]:
    """Go through questions: (score, start, end) of the best spans, and of none (score, 0, 0)."""
    found: list[list[tuple[float, int, int]]] = [[] for _ in outputs.inputs]
    least_none = np.ones(len(outputs.inputs))
    for item, encoding, logits in zip(
        outputs.items, outputs.encodings, outputs.logits, strict=True
    ):
        inside = context_tokens(encoding)
        allowed = inside.copy()
        allowed[0] = True  # what stands for no answer takes part in the chances
        starts, ends = (_chances(np.asarray(logits)[:, side], allowed) for side in (0, 1))
        least_none[item] = min(least_none[item], float(starts[0] * ends[0]))
        starts, ends = starts * inside, ends * inside
        # Ends from the start on, and at most so many tokens from it.
        products = np.tril(np.triu(np.outer(starts, ends)), longest - 1)
        best = np.argsort(-products, axis=None, kind="stable")[:top_k]
        for start, end in zip(*np.unravel_index(best, products.shape), strict=True):
            if products[start, end] > 0:
                first, last = encoding.offsets[start][0], encoding.offsets[end][1]
                found[item].append((float(products[start, end]), first, last))
    for spans, none in zip(found, least_none, strict=True):
        best_of = {span[1:]: span[0] for span in sorted(spans)}  # windows overlap
        yield [*((score, *span) for span, score in best_of.items()), (float(none), 0, 0)]


def _chances(logits: Array, allowed: np.ndarray[Any, np.dtype[np.bool_]]) -> Array:
    """Softmax over the tokens that are allowed."""
    values = np.where(allowed, logits.astype(np.float64), -np.inf)
    powers = np.exp(values - values.max())
    chances: Array = powers / powers.sum()
    return chances


def _item(item: Any) -> tuple[str, str]:
    match item:
        case (str() as question, str() as context):
            return question, context
        case {"question": str() as question, "context": str() as context}:
            return question, context
    raise TypeError(_expected(item))


def _expected(item: Any) -> str:
    return f'Expected {{"question": ..., "context": ...}}, not {item!r:.80}.'
