"""The settings of `edgepress train`, each a `KEY=VALUE` of the command."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from compress.config.loading import Settings, read_settings, validated
from compress.training.rates import rate_for_width

__all__ = ["TrainingSettings", "load_training_settings"]


class TrainingSettings(Settings):
    """Settings of training a teacher."""

    epochs: float = Field(3.0, gt=0, description="passes over the training text")
    batch_size: int = Field(32, ge=1, description="examples a step, on each device")
    accumulate: int = Field(1, ge=1, description="batches whose gradients make one step")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="peak of the schedule; by default 5e-5 for encoders as wide as BERT-base, and "
        "more for narrower ones: 2e-4 at 384",
    )
    schedule: Literal["linear", "cosine", "exponential", "constant"] = Field(
        "linear", description="how the learning rate goes down after the warm-up"
    )
    decay: float = Field(
        0.05, gt=0, le=1, description="of the exponential schedule: the last rate over the peak"
    )
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps before the peak")
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    group_by_length: bool = Field(
        True,
        description="batches of texts of similar length, so that little is padded; `false` draws "
        "each from all lengths, and takes up to twice as long on short texts",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare classes count as much as frequent ones"
    )
    metric: Literal["accuracy", "macro_f1", "mcc", "f1", "pearson", "spearman", "exact"] | None = (
        Field(
            None, description="picks the best weights, and stops early; by default the task's own"
        )
    )
    evaluations: float = Field(2.0, gt=0, description="looks at the validation split, an epoch")
    patience: int | None = Field(
        4, ge=1, description="evaluations without a better metric after which training stops"
    )
    freeze_embeddings: bool = Field(False, description="leave the word table as it is")
    freeze_layers: int = Field(0, ge=0, description="lowest layers to leave as they are")
    max_length: int | None = Field(
        None, ge=8, description="tokens kept of a text; by default what the tokenizer allows"
    )
    vocabulary: int = Field(
        8000, ge=100, description="entries of the vocabulary, where an encoder starts from nothing"
    )
    unicode: Literal["none", "NFC", "NFKC"] = Field("NFC", description="normal form of the text")
    whitespace: bool = Field(True, description="runs of white space become one space")
    missing: Literal["refuse", "drop", "fill"] = Field(
        "refuse", description="rows with empty cells; only training text is ever filled"
    )
    duplicates: Literal["drop", "keep"] = Field(
        "drop", description="training texts that are there twice; contradicting ones go altogether"
    )
    augment: int = Field(0, ge=0, description="varied copies of each training text, for small sets")
    seed: int = Field(0, ge=0)

    def for_width(self, hidden_size: int) -> "TrainingSettings":
        """Return the same settings, with a learning rate where none was chosen."""
        if self.learning_rate is not None:
            return self
        return self.model_copy(update={"learning_rate": rate_for_width(hidden_size)})


def load_training_settings(
    overrides: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> TrainingSettings:
    """Return the defaults, changed by options and then by `key=value` strings.

    Raises:
        RecipeError: Unknown key (with the nearest one), or unfit value.
    """
    given = read_settings("training", overrides=overrides, options=options)
    return validated(TrainingSettings, given, "training")
