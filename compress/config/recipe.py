"""What a run is to do: validated, versioned, from an effort preset, a YAML file and overrides."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, field_validator

from compress.config.loading import Settings, merged, read_settings, validated
from compress.errors import RecipeError

__all__ = [
    "DistillSettings",
    "Effort",
    "PruneSettings",
    "QuantizeSettings",
    "Recipe",
    "TrainSettings",
    "load_recipe",
    "render_recipe",
]

Effort = Literal["fast", "balanced", "best"]


class TrainSettings(Settings):
    """How a student is trained to match its teacher."""

    epochs: float = Field(0.7, ge=0, description="passes over the (augmented) training text")
    batch_size: int = Field(32, ge=1, description="texts a step")
    learning_rate: float = Field(2e-4, gt=0, description="peak of the linear schedule")
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps that warm up")
    weight_decay: float = Field(0.01, ge=0)
    temperature: float = Field(1.0, gt=0, description="of the soft targets")
    soft_weight: float = Field(1.0, ge=0, description="KL to the teacher's soft targets")
    hidden_weight: float = Field(3.0, ge=0, description="MSE to the teacher's last hidden states")
    relation_weight: float = Field(0.0, ge=0, description="KL of Q-Q, K-K and V-V relations")
    label_weight: float = Field(0.0, ge=0, description="cross-entropy to the true labels")
    augment: int | None = Field(
        None,
        ge=0,
        description="generated texts per training text, new ones for each member; by default 5, "
        "and 11 where the processor trains in bfloat16, in hardly more time",
    )
    freeze_embeddings: bool = Field(
        True, description="a dense optimizer step over the word table costs more than the layers"
    )
    max_train_texts: int = Field(60_000, ge=1, description="larger training splits are sampled")
    quantization_aware: float = Field(
        0.2, ge=0, lt=1, description="last share of the steps, taken with INT8 rounding; 0 is off"
    )
    rounding_share: float = Field(
        0.1,
        ge=0,
        description="INT8 rounding is trained for where it adds more than this share to the KL "
        "from the teacher",
    )


class DistillSettings(TrainSettings):
    """Settings of the `distill` stage."""

    layers: int | tuple[int, ...] | None = Field(
        None,
        description="layers that the student keeps: how many (which ones is measured), or their "
        "indices; by default all that pruning left",
    )
    continued_epochs: float = Field(
        0.7,
        gt=0,
        description="factor for a member cut from a trained one, or near the teacher as it is: it "
        "has less to learn",
    )
    continued_rate: float = Field(
        0.5, gt=0, description="factor on the learning rate of such a member"
    )
    enough: float = Field(
        0.01,
        ge=0,
        description="a member nearer to the teacher than this KL, which is where training would "
        "bring it, is not trained if it is probably within the budget as it is",
    )


class PruneSettings(Settings):
    """Settings of the `prune` stage: of how it prunes, and, without `speedups`, how much."""

    heads: float = Field(0.33, ge=0, lt=1, description="share of all attention heads to remove")
    neurons: float = Field(0.4, ge=0, lt=1, description="share of all FFN neurons to remove")
    layers: int = Field(0, ge=0, description="whole layers to remove, least important first")
    neuron_step: int = Field(32, ge=1, description="FFN widths are multiples of this")
    steps: int = Field(
        2, ge=1, description="without `speedups`, prune and repair in this many turns"
    )
    scores: Literal["labels", "teacher"] | None = Field(
        None,
        description="what heads and neurons are chosen by: the labels' Fisher information, or the "
        "divergence from the teacher; by default what keeps the first member nearer to the teacher",
    )
    importance_texts: int = Field(1024, ge=1, description="training texts that scores are from")


class QuantizeSettings(Settings):
    """Settings of the `quantize` stage."""

    onnxruntime: Literal["dynamic", "static", "float"] = Field(
        "dynamic",
        description="ONNX Runtime's file: INT8 with activation ranges found at every call, or "
        "measured on training texts, or no INT8",
    )
    openvino: Literal["smooth", "plain", "float"] = Field(
        "smooth",
        description="OpenVINO's file: static INT8 with SmoothQuant, or without, or no INT8 (run in "
        "bf16 where the CPU has it)",
    )
    embeddings: Literal["int8", "fp32"] = Field("int8", description="precision of the word table")
    reduce_range: bool = Field(
        False,
        description="7-bit weights: exact on x86 CPUs without VNNI, a little coarser; where the "
        "run itself is on one, they are taken in any case",
    )
    calibration_texts: int = Field(128, ge=1, description="training texts for static ranges")
    smooth_quant_alpha: float = Field(
        0.95, ge=-1, le=1, description="SmoothQuant strength in static quantization; -1 is off"
    )
    alternatives: bool = Field(
        True,
        description="measure the chosen member in the other schemes as well, and return the "
        "layers that INT8 hurts most to float where INT8 alone costs a faster member the budget",
    )
    float_layers: tuple[str, ...] = Field(
        (), description="linear layers to leave in float, such as layers.2.feed_forward.down"
    )


StageName = Literal["distill", "prune", "quantize"]


class Recipe(Settings):
    """Everything that decides what a run does; written to `OUT/recipe.yaml` as resolved."""

    version: Literal[1] = 1
    effort: Effort = "balanced"
    max_drop: float = Field(1.0, ge=0, description="accuracy budget, in points of the metric")
    target_latency_ms: float | None = Field(
        None,
        gt=0,
        description="the other way round: the least drop among members whose median end-to-end "
        "latency at batch 1 is at most this, whatever max_drop is",
    )
    time_budget_minutes: float | None = Field(
        None,
        gt=0,
        description="the run's length: members that would not be ready in time are left out, all "
        "but the first, and while there is time more are made between the fastest inside the "
        "budget and the next one; of no effect on fast, which makes one",
    )
    confidence: float = Field(
        0.7,
        ge=0.5,
        lt=1,
        description="a member is within the budget when its true drop is, with this probability, "
        "judging by the selection split",
    )
    seed: int = Field(0, ge=0)
    stages: tuple[StageName, ...] = Field(
        ("prune", "distill", "quantize"), description="applied in this order, each once a member"
    )
    speedups: tuple[float, ...] = Field(
        (1.9, 2.4, 3.0, 4.2),
        description="the family: how many times as fast as the unpruned INT8 model each member is "
        "to be, by the measured latency table; each is made from the one before. None of them: one "
        "member, pruned by the shares of `prune`",
    )
    beyond: bool = Field(
        True,
        description="make faster members than `speedups` while the last is inside max_drop, and "
        "one between the fastest inside and the next where those are far apart",
    )
    max_length: int | None = Field(
        None, ge=8, description="tokens kept of a text; by default the tokenizer's own, up to 512"
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; by default all cores")
    benchmark_rounds: int = Field(12, ge=2, description="interleaved rounds of the final table")
    without_rivals: tuple[str, ...] = Field(
        (), description="stock exports to leave out of the table, such as openvino-int8"
    )
    every_runtime: bool = Field(
        True, description="show the recommended member on every runtime, not only on its own"
    )
    throughput: bool = Field(True, description="measure samples a second in batches as well")
    distill: DistillSettings = DistillSettings()
    prune: PruneSettings = PruneSettings()
    quantize: QuantizeSettings = QuantizeSettings()

    @property
    def budget(self) -> float | None:
        """Points that may be lost; None where a latency is given, within which each counts."""
        return self.max_drop if self.target_latency_ms is None else None

    @property
    def by_latency(self) -> bool:
        """Whether members are pruned to be as fast as is asked, not by shares."""
        return "prune" in self.stages and bool(self.speedups or self.target_latency_ms)

    @field_validator("speedups")
    @classmethod
    def _growing(cls, speedups: tuple[float, ...]) -> tuple[float, ...]:
        if any(a >= b for a, b in pairwise((1.0, *speedups))):
            raise ValueError("speedups start above 1 and grow")
        return speedups

    @field_validator("stages")
    @classmethod
    def _each_once(cls, stages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(stages)) < len(stages):
            raise ValueError("each stage can be named once")
        return stages


# What an effort changes in the defaults above. Figures behind them: docs/log.md.
_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {
        "stages": ("prune", "quantize"),
        # Measuring what sizes cost, and which layers may go, takes two minutes: not for this.
        "speedups": (),
        "prune": {"heads": 0.25, "neurons": 0.33, "steps": 1, "importance_texts": 512},
        "quantize": {"alternatives": False, "calibration_texts": 64},
        "benchmark_rounds": 8,
        # The table names the fastest of the stock exports; the others take a minute to make.
        "without_rivals": ("onnx-fp32", "openvino-fp32", "openvino-int8"),
        "every_runtime": False,
        "throughput": False,
    },
    "balanced": {},
    "best": {
        "speedups": (1.4, 1.8, 2.2, 2.6, 3.0, 3.6, 5.0),
        "distill": {"epochs": 4.0, "augment": 7},
    },
}


def load_recipe(
    path: Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Recipe:
    """Resolve a recipe: effort preset, then the YAML file, then options, then `key=value`.

    Args:
        path: YAML file, or None.
        overrides: `key=value` strings; the key is dotted (`distill.epochs=2`), the value YAML.
        options: Top-level keys set by command-line options; None values are ignored.

    Raises:
        RecipeError: Unreadable file, unknown key (with the nearest one), or unfit value.
    """
    given = read_settings("recipe", path, overrides, options)
    in_file = read_settings("recipe", path) if path is not None else {}
    if set(Recipe.model_fields) <= set(in_file) and given["effort"] != in_file["effort"]:
        raise RecipeError(
            f"effort {given['effort']!r}: {path} says everything as {in_file['effort']!r} has it",
            hint="leave out the file, or the effort",
        )
    effort = given.get("effort", "balanced")
    if not isinstance(effort, str) or effort not in _PRESETS:
        raise RecipeError(
            f"effort {effort!r} does not exist; there are: {', '.join(get_args(Effort))}"
        )
    return validated(Recipe, merged(_PRESETS[effort], given), "recipe")


def render_recipe(recipe: Recipe, command: str) -> str:
    """The resolved recipe as YAML that `--recipe` reads back, opening with the command."""
    body = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    # A quoted line break in the command would end the comment.
    return f"# {' '.join(command.splitlines())}\n{body}"
