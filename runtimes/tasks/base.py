"""What a module in `runtimes/tasks/` provides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from runtimes.base import Array, TextInput

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["Outputs", "Parsed", "Task", "TaskSpec"]


@dataclass(frozen=True)
class TaskSpec:
    """All that the rest of the tool asks of a task.

    Attributes:
        name: As in `transformers.pipeline`, where that has the task; the file's name with hyphens.
        auto_class: The class of Transformers that opens its checkpoints.
        head: Name of the lean encoder's head, as its config has it.
        outputs: The field of a model's config that says how many numbers the head gives.
        reads_tokens: Whether the model answers for every token, rather than for the whole input.
        windows: Whether long inputs are cut into windows that overlap, rather than cut off.
        longest: Tokens kept of an input unless somebody asks for more or fewer.
        pooled: Whether answers are vectors, pooled from those of the tokens.
        nested: Whether Transformers takes all choices of a question at once, (B, K, T).
        labels: Names of the outputs where these are always the same; None: the config has them.
        default_labels: Labels that a config has where it does not say how many; 0: none.
        by_problem: By problem type, the modules of `benchmarks.tasks` and
            `compress.training.tasks` that stand in for the task's own.
        shown: Options of `postprocess` for results that a person reads.
        columns: What the columns of `lines` are called.
        example: An input as a line of text; None: one or two plain texts.
        model: What a model of it is called, with its article.
        asked: Names of the parts of an input, in their order (`runtimes.serving`).
        optional: How many of them, from the end, an input may lack.
        answered: By name, the type of each part of an answer, as the Open Inference Protocol calls
            types; none: answers have as many parts as the model finds, and are sent as JSON.
        served: Options of `postprocess` where a request over HTTP names none.
        alternatives: Whether an input's answer over HTTP is a list, the best first.
        hub_tag: What the Hugging Face hub calls the task, where it has another name there.
        trained_by: How to come by a trained model, for a task that `edgepress train` does not have.
    """

    name: str
    auto_class: str
    head: str
    outputs: str = "num_labels"
    reads_tokens: bool = False
    windows: bool = False
    longest: int = 512
    pooled: bool = False
    nested: bool = False
    labels: tuple[str, ...] | None = None
    default_labels: int = 0
    by_problem: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    example: str | None = None
    model: str = "a model of another task"
    asked: tuple[str, ...] = ("text",)
    optional: int = 0
    answered: Mapping[str, str] = field(default_factory=dict)
    served: Mapping[str, Any] = field(default_factory=dict)
    alternatives: bool = False
    hub_tag: str | None = None
    trained_by: str | None = None

    @property
    def model_suffix(self) -> str:
        """What names of the model classes end with: `ForTokenClassification`; of models without a
        head nothing."""
        return self.auto_class.removeprefix("AutoModel")

    @property
    def of_vocabulary(self) -> bool:
        """Whether the outputs are the entries of the vocabulary."""
        return self.outputs == "vocab_size"

    def module_for(self, problem_type: str) -> str:
        """Return the name of the module that measures, or trains, labels of a problem type."""
        return self.by_problem.get(problem_type, self.name.replace("-", "_"))


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
        cut: By input, whether it was cut to `max_length`; only where that was asked for.
    """

    inputs: Sequence[TextInput]
    logits: Array | Sequence[Array]
    encodings: "Sequence[Encoding]" = ()
    decode: Callable[[list[str]], str] = "".join
    items: Sequence[int] = ()
    subword_prefix: str | None = None
    unknown_token: str | None = None
    token: Callable[[int], str] = str
    cut: Sequence[bool] = ()


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
        SPEC: What the rest of the tool asks of the task.

    Two functions are optional. A task that reads some tokens only says which by
    `places(encoding)`; the answers for the others are not kept. `postprocess_one(logits, labels,
    problem_type)` is a shorter way for a single text.
    """

    SPEC: TaskSpec

    def parse(self, inputs: Any) -> Parsed:
        """Read what the user passed.

        Raises:
            TypeError: The inputs have a form that the task does not take.
        """
        ...

    def postprocess(
        self, outputs: Outputs, labels: Sequence[str], problem_type: str, **options: Any
    ) -> list[Any]:
        """Turn outputs for N inputs into N results in the form of `transformers.pipeline`.

        Raises:
            TypeError: There is no such option.
            UsageError: An option has a value that does not exist.
        """
        ...

    def from_line(self, line: str) -> TextInput:
        """Return an input as a line of text.

        Raises:
            UsageError: The line does not hold one.
        """
        ...

    def lines(self, text: str, result: Any) -> list[list[str]]:
        """Return a result as lines of columns; `text` is what `from_line` got."""
        ...

    def record(self, text: str, result: Any) -> dict[str, Any]:
        """Return a result as a JSON object."""
        ...

    def decisions(self, outputs: Outputs) -> Array:
        """Return everything that the model decided about N inputs, as logits (M, C).

        One decision an input, or one a word: what accuracy is counted in.
        """
        ...
