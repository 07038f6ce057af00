"""Multiple choice: a prompt and several endings to the one that fits best.

The model gives each pair of prompt and ending a score; a question is answered by all of its pairs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from runtimes.errors import UsageError
from runtimes.tasks.base import Outputs, Parsed, TaskSpec
from runtimes.tasks.text_classification import decisions, scores

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
    name="multiple-choice",
    auto_class="AutoModelForMultipleChoice",
    head="choice",
    model="a multiple-choice model",
    nested=True,
    labels=("score",),
    columns=("answer", "score", "prompt"),
    example="It has rained.\tThe street is wet.\tThe street is dry.",
    asked=("prompt", "choices"),
    answered={"answer": "BYTES", "index": "INT64", "score": "FP32"},
)

Question = tuple[str, list[str]]


def parse(inputs: Any) -> Parsed:
    """Read a `{"prompt", "choices"}` dict, a `(prompt, choices)` tuple, or a list of these.

    Transformers has no pipeline for this task. The answer to a question is

        {"index": 1, "answer": "the second choice", "score": 0.9, "scores": [0.1, 0.9]}

    Raises:
        TypeError: `inputs` is something else.
    """
    single = isinstance(inputs, tuple | dict)
    if not single and (isinstance(inputs, str) or not isinstance(inputs, Sequence)):
        raise TypeError(_expected(inputs))
    questions = [_question(item) for item in ([inputs] if single else inputs)]

    def shaped(results: list[Any]) -> Any:
        left, answers = iter(results), []
        for _, choices in questions:
            own = scores(np.array([next(left) for _ in choices]), "softmax")
            best = int(own.argmax())
            answers.append(
                {
                    "index": best,
                    "answer": choices[best],
                    "score": float(own[best]),
                    "scores": own.tolist(),
                }
            )
        return answers[0] if single else answers

    pairs = [(prompt, choice) for prompt, choices in questions for choice in choices]
    return Parsed(pairs, shaped)


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],  # noqa: ARG001 - the same for all tasks
    problem_type: str,  # noqa: ARG001
) -> list[Any]:
    """Return the score of each pair; `parse` knows which belong to one question."""
    return [float(score) for score in np.asarray(outputs.logits)[:, 0]]


def from_line(line: str) -> Any:
    """Return a prompt and its choices, with tabs between them.

    Raises:
        UsageError: There are fewer than two choices.
    """
    prompt, *choices = line.split("\t")
    if len(choices) < 2:
        raise UsageError(
            f"there are no choices in {line!r:.60}",
            hint="a line is the prompt and its choices, with tabs between them",
        )
    return prompt, choices


def lines(text: str, result: Any) -> list[list[str]]:
    """Return answer, score and prompt."""
    return [[result["answer"], f"{result['score']:.4f}", text.partition("\t")[0]]]


def record(text: str, result: Any) -> dict[str, Any]:
    """Return the prompt, the answer and all scores."""
    return {"prompt": text.split("\t", maxsplit=1)[0], **result}


def _question(item: Any) -> Question:
    match item:
        case {"prompt": str() as prompt, "choices": [_, *_] as choices}:
            pass
        case (str() as prompt, str() as choice):  # a pair alone, as it is measured
            return prompt, [choice]
        case (str() as prompt, [_, *_] as choices):
            pass
        case _:
            raise TypeError(_expected(item))
    if not all(isinstance(choice, str) for choice in choices):
        raise TypeError(_expected(item))
    return prompt, list(choices)


def _expected(item: Any) -> str:
    return (
        'Expected (prompt, choices) or {"prompt": ..., "choices": [...]}, or a list of these, '
        f"not {item!r:.80}."
    )
