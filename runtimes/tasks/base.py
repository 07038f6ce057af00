"""What a module in `runtimes/tasks/` provides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from runtimes.base import Array
from runtimes.tokenization import TextInput

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["Outputs", "Parsed", "Task"]


@dataclass(frozen=True)
class Outputs:
    """What a model said about N inputs.

    Attributes:
        inputs: The N texts or pairs.
        logits: (N, C); of a task that reads every token arrays (T_i, C), a row each, unpadded.
        encodings: Of a task that reads every token, the tokenized inputs, one a row; else none.
        items: By row, the input that it belongs to; long inputs may have several rows.
        decode: Turns tokens into text as the tokenizer would.
        subword_prefix: What tokens begin with that continue a word, if they have such a mark.
        unknown_token: What stands for text that has no token, if anything does.
        token: The token with an id.
    """

    inputs: Sequence[TextInput]
    logits: Array | Sequence[Array]
    encodings: "Sequence[Encoding]" = ()
    decode: Callable[[list[str]], str] = "".join
    items: Sequence[int] = ()
    subword_prefix: str | None = None
    unknown_token: str | None = None
    token: Callable[[int], str] = str


@dataclass(frozen=True)
class Parsed:
    """What a caller passed.

    Attributes:
        inputs: As N texts or pairs.
        shaped: From a list of N results to what the caller gets back.
    """

    inputs: Sequence[TextInput]
    shaped: Callable[[list[Any]], Any]


class Task(Protocol):
    """Pre- and post-processing of one task, in numpy alone.

    A module satisfies it: the file `text_classification.py` is the task `"text-classification"`.

    Attributes:
        NAME: The task's name as in `transformers.pipeline`.
        READS_TOKENS: Whether the model answers for every token, rather than for the whole input.
        WINDOWS: Whether long inputs are cut into windows that overlap, rather than cut off.
        SHOWN: Options of `postprocess` for results that a person reads.

    A task that reads some tokens only says which by `places(encoding)`; the answers for the others
    are not kept.
    """

    NAME: str
    READS_TOKENS: bool
    WINDOWS: bool
    SHOWN: Mapping[str, Any]

    def parse(self, inputs: Any) -> Parsed:
        """Read what the user passed.

        Raises:
            TypeError: The inputs have a form that the task does not take.
        """
        ...

    def postprocess(
        self, outputs: Outputs, labels: Sequence[str], problem_type: str, **options: Any
    ) -> list[Any]:
        """What a model said about N inputs as N results in the form of `transformers.pipeline`.

        Raises:
            TypeError: There is no such option.
            UsageError: An option has a value that does not exist.
        """
        ...

    def from_line(self, line: str) -> TextInput:
        """An input as a line of text.

        Raises:
            UsageError: The line does not hold one.
        """
        ...

    def lines(self, text: str, result: Any) -> list[str]:
        """A result as lines of columns between tabs."""
        ...

    def record(self, text: str, result: Any) -> dict[str, Any]:
        """A result as a JSON object."""
        ...

    def decisions(self, outputs: Outputs) -> Array:
        """Everything that the model decided about N inputs, as logits (M, C).

        One decision an input, or one a word: what accuracy is counted in.
        """
        ...
