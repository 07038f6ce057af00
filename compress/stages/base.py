"""What a stage is, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.examples import Examples
from compress.config.recipe import Recipe
from compress.system.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from compress.corpus.corpus import Material
    from compress.encoder.modules import LeanEncoderWithHead
    from compress.latency.table import LatencyTable
    from export.quantization import QuantizationPlan

__all__ = ["Context", "Encoder", "Stage"]


@dataclass(frozen=True)
class Encoder:
    """A model on its way through the stages.

    Attributes:
        module: The lean encoder with its task head, on the CPU, in evaluation mode.
        tokenizer: The checkpoint's own (fast) tokenizer.
        lineage: One entry per stage so far: its name, what it did, its figures.
        plan: How exporters are to quantize it; None before the `quantize` stage.
    """

    module: "LeanEncoderWithHead"
    tokenizer: "PreTrainedTokenizerBase"
    lineage: tuple[Mapping[str, Any], ...] = ()
    plan: "QuantizationPlan | None" = None


def _never(_: "LeanEncoderWithHead") -> bool:
    """Answer where there is no budget to ask about."""
    return False


@dataclass(frozen=True)
class Context:
    """What a stage may use.

    Attributes:
        recipe: All settings; a stage reads its own section.
        teacher: The full-precision model as imported; never modified.
        train: Labelled training text.
        material: Texts to train and measure on, the selection split (never the reported one), and
            the teacher's outputs.
        max_length: Tokens kept of a text.
        progress: Where to report progress.
        latency: What each size costs on the target; None where it was not measured.
        target_ms: Latency that the encoder is to have after this turn of the stages; None where
            the stages' own settings say how much to remove.
        acceptable: Whether a model, quantized as the recipe has it, is probably within the budget.
    """

    recipe: Recipe
    teacher: Encoder
    train: Examples
    material: "Material"
    max_length: int
    progress: Progress
    latency: "LatencyTable | None" = None
    target_ms: float | None = None
    acceptable: "Callable[[LeanEncoderWithHead], bool]" = _never


class Stage(Protocol):
    """A module in `compress/stages/` provides an object `STAGE` that satisfies this."""

    name: str

    def check(self, encoder: Encoder, context: Context) -> None:
        """Raise before hours of work if the stage cannot be applied.

        Raises:
            EdgepressError: The settings do not fit this encoder or this data.
        """
        ...

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """Return a new encoder; the one given is not modified."""
        ...
