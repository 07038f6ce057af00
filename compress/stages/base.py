"""Defines a stage and what it is given. Nothing here loads torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from benchmarks.examples import Examples
from compress.config.loading import Settings
from compress.config.recipe import Recipe
from compress.stages.lineage import EncoderState
from compress.system.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from compress.corpus.corpus import Material
    from compress.encoder.modules import LeanEncoderWithHead
    from compress.latency.table import LatencyTable
    from export.quantization import QuantizationPlan

__all__ = ["Context", "Encoder", "Stage", "StageRecord"]

StageRecord = Mapping[str, Any]
"""Record of one stage, for people: `stage` and its figures, as manifests and reports show them."""


@dataclass(frozen=True)
class Encoder:
    """A model on its way through the stages.

    Attributes:
        module: The lean encoder with its task head, on the CPU, in evaluation mode.
        tokenizer: The checkpoint's own (fast) tokenizer.
        lineage: One record per stage so far, for people, each with a sentence `in_words`; no code
            decides by it.
        state: What later stages decide by.
        plan: How exporters are to quantize it; None before a stage has planned it.
    """

    module: "LeanEncoderWithHead"
    tokenizer: "PreTrainedTokenizerBase"
    lineage: tuple[StageRecord, ...] = ()
    state: EncoderState = field(default_factory=EncoderState)
    plan: "QuantizationPlan | None" = None


def _never(_: "LeanEncoderWithHead") -> bool:
    """Answer where there is no budget to ask about."""
    return False


@dataclass(frozen=True)
class Context:
    """Everything that a stage may use.

    Attributes:
        recipe: All settings; a stage reads its own section.
        teacher: The full-precision model as imported; never modified.
        train: Labelled training text.
        material: Texts to train on and to decide with on the way (`guide`), and the teacher's
            outputs; stages leave the selection split to the search.
        max_length: Tokens kept of a text.
        progress: Where to report progress.
        latency: What each size costs on the target; None where it was not measured.
        target_ms: Latency that the encoder is to have after this turn of the stages; None where
            the stages' own settings say how much to remove.
        plan: How members will be quantized, before anything was measured; None is float.
        acceptable: Whether a model, quantized by `plan`, is probably within the budget, by the
            texts that guide.
        drop_of: Points that a model's drop probably stays below once it is quantized by `plan`, by
            the texts that choose; None where there is no budget.
        training_share: Factor on the passes over the training text; less than 1 for members that
            will hardly be recommended.
        training_s: Seconds that there are for training a member; None is as the recipe says.
        pruning_share: Of the texts that pruning looks at, 0 to 1; less than 1 where time is short.
        student: A model of other origin that members are cut from; None is the teacher.
    """

    recipe: Recipe
    teacher: Encoder
    train: Examples
    material: "Material"
    max_length: int
    progress: Progress
    latency: "LatencyTable | None" = None
    target_ms: float | None = None
    plan: "QuantizationPlan | None" = None
    acceptable: "Callable[[LeanEncoderWithHead], bool]" = _never
    drop_of: "Callable[[LeanEncoderWithHead], float] | None" = None
    training_share: float = 1.0
    training_s: float | None = None
    pruning_share: float = 1.0
    student: Encoder | None = None

    @property
    def source(self) -> Encoder:
        """What members are cut from, as it was before any stage."""
        return self.student or self.teacher


class Stage(Protocol):
    """A module in `compress/stages/` provides an object `STAGE` that satisfies this.

    The module itself imports no torch: recipes are checked before it is loaded.

    Attributes:
        name: The file's name, and the name of the recipe's section.
        Settings: The recipe's section.
        changes_weights: Whether each turn of the stages applies it. Where it is false, the stage
            attaches something to each finished member.
        runs_on_every_process: Whether all processes of a run take part, or the first one alone.
        meets_latency: Whether it makes an encoder as fast as `Context.target_ms` asks.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[Settings]]
    changes_weights: ClassVar[bool]
    runs_on_every_process: ClassVar[bool]
    meets_latency: ClassVar[bool]

    def check(self, encoder: Encoder, context: Context) -> None:
        """Raise before hours of work if the stage cannot be applied.

        Raises:
            EdgepressError: The settings do not fit this encoder or this data.
        """
        ...

    def cache_key(self, context: Context) -> Sequence[Any]:
        """Return what its result depends on, as JSON-able values.

        Every key has these anyway: the encoder before, the stage's own section, the seed, the
        order of the stages, teacher, data and maximal length, the versions of libraries, and the
        kind and number of devices.
        """
        ...

    def plan(self, recipe: Recipe) -> "QuantizationPlan | None":
        """Return how the stage will have members quantized, before anything was measured."""
        ...

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """Return a new encoder; the one given is not modified."""
        ...
