"""Recipes: what a run is to do, from an effort preset, a YAML file and overrides."""

import importlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from benchmarks.differences import MOST_TEXTS
from compress.config.loading import Settings, merged, read_settings, validated
from compress.errors import RecipeError
from export.stock import StockName
from export.targets.registry import target_names

__all__ = [
    "BenchmarkSettings",
    "Effort",
    "Recipe",
    "load_recipe",
    "render_recipe",
]

Effort = Literal["fast", "balanced", "best"]


def _stages() -> Any:
    """Return the package whose modules are the stages; each brings its section of the recipe.

    They are found by their names when a recipe is validated, so a new one needs no change here.
    """
    return importlib.import_module("..stages", __package__)


def _known_stage(name: str) -> str:
    return _one_of(_stages().stage_names(), name)


def _known_runtime(name: str) -> str:
    return _one_of(target_names(), name)


def _one_of(known: Sequence[str], name: str) -> str:
    if name not in known:
        expected = " or ".join(f"'{each}'" for each in known)
        raise PydanticKnownError("literal_error", {"expected": expected})
    return name


class BenchmarkSettings(Settings):
    """Settings of what is measured: to choose a member, and for the table."""

    rounds: int = Field(
        12, ge=2, description="interleaved rounds of the table; at most 6 to choose a member"
    )
    sentences: int = Field(
        25, ge=1, description="texts timed in each round; at most 20 to choose a member"
    )
    cold_starts: int = Field(
        1, ge=0, description="fresh processes that the time to the first answer is measured on"
    )
    throughput: bool = Field(True, description="measure samples a second in batches as well")
    runtimes: tuple[str, ...] | None = Field(
        None,
        examples=[["openvino"]],
        description="runtimes that compete, such as [openvino]; by default all installed that the "
        "artifact has files for",
    )
    every_runtime: bool = Field(
        True, description="show the recommended member on every runtime, not only on its own"
    )
    baselines: tuple[StockName, ...] | None = Field(
        None,
        examples=[["onnx-int8"]],
        description="stock exports to compare with, such as [onnx-int8]; by default all",
    )
    texts: int = Field(
        MOST_TEXTS,
        ge=0,
        description="texts in the report on which original and small model differ, at most; 0 "
        "leaves them out where texts are private",
    )
    latency_table_seconds: float = Field(
        75.0, gt=0, description="time that the latency table is measured for, once a machine"
    )


StageName = Annotated[str, AfterValidator(_known_stage)]
RuntimeName = Annotated[str, AfterValidator(_known_runtime)]


class Recipe(Settings):
    """Everything that decides what a run does; written to `OUT/recipe.yaml` as resolved.

    What is not given is what the preset of its effort says. Each stage there is has a section, an
    attribute called like the stage: `recipe.distill.epochs`.
    """

    model_config = ConfigDict(extra="allow")  # the stages' sections

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a stage's section."""

    version: Literal[1] = Field(1, description="of the recipe's format")
    effort: Effort = Field(
        "balanced", description="preset that all keys begin from: fast (no training) or best"
    )
    max_drop: float = Field(1.0, ge=0, description="accuracy budget, in points of the metric")
    min_agreement: float | None = Field(
        None,
        ge=0,
        le=100,
        description="the budget of texts without labels instead of max_drop: points of agreement "
        "with the original model, such as 99; by default 100 less max_drop",
    )
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
        "judging by the texts that decide",
    )
    seed: int = Field(0, ge=0, description="of everything random")
    stages: tuple[StageName, ...] = Field(
        (),
        examples=[["prune", "quantize"]],
        description="applied in this order, each once a member",
    )
    speedups: tuple[float, ...] = Field(
        (1.9, 2.4, 3.0, 4.2),
        examples=[[2, 4]],
        description="the family: how many times as fast as the unpruned INT8 model each member is "
        "to be, by the measured latency table; each is made from the one before. None of them: one "
        "member, pruned by the shares of `prune`",
    )
    student_only: bool = Field(
        False,
        description="cut members from the students given, not from the model's own layers, which "
        "otherwise compete with them",
    )
    beyond: bool = Field(
        True,
        description="make faster members than `speedups` while the last is inside max_drop, and "
        "one between the fastest inside and the next where those are far apart",
    )
    runtimes: tuple[RuntimeName, ...] | None = Field(
        None,
        min_length=1,
        examples=[["onnxruntime"]],
        description="those that the artifact has files for, such as [onnxruntime]; by default all",
    )
    max_length: int | None = Field(
        None, ge=8, description="tokens kept of a text; by default the tokenizer's own, up to 512"
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; by default all cores")
    benchmark: BenchmarkSettings = BenchmarkSettings()

    @property
    def most_lost(self) -> float:
        """Points that may be lost, of the metric or of agreement."""
        return self.max_drop if self.min_agreement is None else round(100 - self.min_agreement, 9)

    @property
    def budget(self) -> float | None:
        """Points that may be lost; None where a latency is given, within which each counts."""
        return self.most_lost if self.target_latency_ms is None else None

    @property
    def competing(self) -> tuple[str, ...] | None:
        """Runtimes whose files are measured against each other; None: all installed."""
        return self.benchmark.runtimes or self.runtimes

    @classmethod
    def sections(cls) -> dict[str, type[Settings]]:
        """Return the settings below this one, those of each stage there is among them."""
        stages = _stages()
        found = {name: stages.get_stage(name).Settings for name in stages.stage_names()}
        return super().sections() | found

    @classmethod
    def preset(cls, effort: str = "balanced", **changes: Any) -> Self:
        """Return the recipe of an effort with some keys changed.

        Args:
            effort: `fast`, `balanced` or `best`.
            changes: Keys and their values; sections are merged: `distill={"epochs": 1.0}`.

        Raises:
            RecipeError: Unknown effort or key (with the nearest one), or unfit value.
        """
        _check_effort(effort)
        return validated(cls, {**changes, "effort": effort}, "recipe")

    def replace(self, **changes: Any) -> Self:
        """Return this recipe with some keys changed.

        Args:
            changes: Keys and their values; sections are merged: `distill={"epochs": 1.0}`.

        Raises:
            RecipeError: Unknown key (with the nearest one), or unfit value; or the effort, which
                decides what other keys begin from.
        """
        if changes.get("effort", self.effort) != self.effort:
            raise RecipeError(
                f"effort {changes['effort']!r}: this recipe is {self.effort!r}, and stays it",
                hint=f'begin with it: Recipe.preset("{changes["effort"]}")',
            )
        return validated(type(self), merged(self.model_dump(), changes), "recipe")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, content: Any) -> Any:
        """Complete what is given with the preset of its effort."""
        if not isinstance(content, Mapping):
            return content
        effort = content.get("effort", "balanced")
        preset = _PRESETS.get(effort, {}) if isinstance(effort, str) else {}
        return merged(preset, content)

    @model_validator(mode="after")
    def _with_sections(self) -> Self:
        """Validate the sections; errors name their keys."""
        known: dict[str, Any] = {
            name: (section, section())
            for name, section in self.sections().items()
            if name not in type(self).model_fields
        }
        extra = self.__pydantic_extra__
        assert extra is not None  # of a model that allows it
        found = create_model("Sections", __base__=Settings, **known).model_validate(extra)
        extra.clear()
        extra.update({name: getattr(found, name) for name in known})
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        usual = type(self).model_fields["max_drop"].default
        if self.max_drop not in (usual, self.most_lost):
            raise ValueError(
                f"max_drop {self.max_drop:g} and min_agreement {self.min_agreement:g} are two "
                f"budgets: {self.min_agreement:g} allows {self.most_lost:g} points"
            )
        return self

    @model_validator(mode="after")
    def _competing_are_exported(self) -> Self:
        for name in self.benchmark.runtimes or ():
            if self.runtimes is not None and name not in self.runtimes:
                raise ValueError(
                    f"benchmark.runtimes names {name}, which the artifact has no files for: "
                    f"runtimes are {', '.join(self.runtimes)}"
                )
        return self

    @field_validator("speedups")
    @classmethod
    def _growing(cls, speedups: tuple[float, ...]) -> tuple[float, ...]:
        if any(a >= b for a, b in pairwise((1.0, *speedups))):
            raise ValueError("they start above 1 and grow")
        return speedups

    @field_validator("stages")
    @classmethod
    def _each_once(cls, stages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(stages)) < len(stages):
            raise ValueError("each stage can be named once")
        return stages


_TRAINED = ("prune", "distill", "quantize")
# What an effort changes in the defaults above. Figures behind them: docs/log.md.
_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {
        "stages": ("prune", "quantize"),
        # Measuring what sizes cost, and which layers may go, takes two minutes: not for this.
        "speedups": (),
        "prune": {"importance_texts": 256},
        "quantize": {"alternatives": False, "calibration_texts": 64},
        "benchmark": {
            "rounds": 6,
            "sentences": 20,
            "throughput": False,
            "every_runtime": False,
            # The fastest of the stock exports; the others take a minute to make.
            "baselines": ("onnx-int8",),
        },
    },
    "balanced": {"stages": _TRAINED},
    "best": {
        "stages": _TRAINED,
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
    complete = {*Recipe.model_fields, *Recipe.sections()} <= set(in_file)
    if complete and given["effort"] != in_file["effort"]:
        raise RecipeError(
            f"effort {given['effort']!r}: {path} says everything as {in_file['effort']!r} has it",
            hint="leave out the file, or the effort",
        )
    _check_effort(given.get("effort", "balanced"))
    return validated(Recipe, given, "recipe")


def _check_effort(effort: Any) -> None:
    if not isinstance(effort, str) or effort not in _PRESETS:
        raise RecipeError(
            f"effort {effort!r} does not exist; there are: {', '.join(get_args(Effort))}"
        )


def render_recipe(recipe: Recipe, command: str) -> str:
    """Render the recipe as YAML that `--recipe` reads back, opening with the command."""
    body = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    # A quoted line break in the command would end the comment.
    return f"# {' '.join(command.splitlines())}\n{body}"
