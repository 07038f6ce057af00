"""What a module in `runtimes/tasks/` provides."""

from collections.abc import Sequence
from typing import Any, Protocol

from runtimes.base import Array
from runtimes.tokenization import TextInput

__all__ = ["Task"]


class Task(Protocol):
    """Pre- and post-processing of one task, in numpy alone.

    A module satisfies it: the file `text_classification.py` is the task `"text-classification"`.

    Attributes:
        NAME: The task's name as in `transformers.pipeline`.
    """

    NAME: str

    def parse(self, inputs: Any) -> tuple[Sequence[TextInput], bool]:
        """What the user passed, as (texts or pairs, whether it was a list of them).

        Raises:
            TypeError: The inputs have a form that the task does not take.
        """
        ...

    def postprocess(
        self,
        logits: Array,
        labels: Sequence[str],
        problem_type: str,
        *,
        top_k: int | None = 1,
        function_to_apply: str | None = None,
    ) -> list[Any]:
        """Raw outputs of N inputs to N results in the form of `transformers.pipeline`."""
        ...

    def postprocess_one(
        self, logits: Array, labels: Sequence[str], problem_type: str
    ) -> dict[str, Any]:
        """The same for the (C,) logits of one input, by the shortest way."""
        ...
