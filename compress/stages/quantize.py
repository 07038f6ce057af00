"""The `quantize` stage: decide how the encoder is quantized, for every exporter to lower."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field, create_model

from compress.config.loading import Settings
from compress.errors import RecipeError
from compress.stages.base import Context, Encoder
from export.quantization import QuantizationPlan
from export.targets.base import Scheme
from export.targets.registry import default_schemes, get_target, target_names
from runtimes.processor import processor_flags
from runtimes.registry import runtime_title

if TYPE_CHECKING:
    from compress.config.recipe import Recipe
    from compress.quantization.outliers import Suppressed

__all__ = ["STAGE", "Quantize", "QuantizeSettings", "planned", "static_ranges"]

_log = logging.getLogger("edgepress")


def _scheme_fields() -> dict[str, Any]:
    """Return a field for each export target, by its runtime: one of the target's schemes."""
    fields: dict[str, Any] = {}
    for name, default in default_schemes().items():
        target = get_target(name)
        one_of = cast(Any, Literal)[tuple(target.SCHEMES)]  # known at run time only
        fields[name] = (one_of, Field(default, description=target.DESCRIPTION))
    return fields


if TYPE_CHECKING:
    _SchemeSettings = Settings
else:
    _SchemeSettings = create_model("SchemeSettings", __base__=Settings, **_scheme_fields())


class QuantizeSettings(_SchemeSettings):
    """Settings of the `quantize` stage; the first keys are the export targets' schemes."""

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
    suppress_outliers: bool = Field(
        True,
        description="rewrite neurons and channels that are far larger than others, so that INT8 "
        "is finer for the rest; where nothing is gained, nothing is changed",
    )
    round_weights: bool = Field(
        True,
        description="round weights so that each layer's outputs are right on training texts, "
        "instead of each weight to its nearest level",
    )
    alternatives: bool = Field(
        True,
        description="measure the chosen member in the other schemes as well, and return the "
        "layers that INT8 hurts most to float where INT8 alone costs a faster member the budget",
    )
    float_layers: tuple[str, ...] = Field(
        (),
        examples=[["layers.2.feed_forward.down"]],
        description="linear layers to leave in float, such as layers.2.feed_forward.down",
    )

    @property
    def schemes(self) -> dict[str, str]:
        """The scheme of each export target, by its runtime."""
        return {name: getattr(self, name) for name in target_names()}


class Quantize:
    """Emits a `QuantizationPlan`: what each runtime's file is quantized by.

    Outliers are rewritten to the same function before, and weights become those that the files
    will hold; what quantization costs is measured afterwards on the exported files themselves.
    """

    name = "quantize"
    Settings = QuantizeSettings
    changes_weights = False
    runs_on_every_process = False
    meets_latency = False

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse names of layers that the encoder does not have.

        Raises:
            RecipeError: `quantize.float_layers` names an unknown linear layer.
        """
        known = _linear_layers(encoder)
        for layer in context.recipe.quantize.float_layers:
            if layer not in known:
                raise RecipeError(
                    f"quantize.float_layers: there is no linear layer {layer!r}",
                    hint=f"the encoder has, for example: {', '.join(known[:4])}",
                )

    def cache_key(self, context: Context) -> Sequence[Any]:  # noqa: ARG002 - the seam's
        """Return what the processor can do: without VNNI, weights have 7 bits."""
        return (sorted(processor_flags()),)

    def plan(self, recipe: "Recipe") -> QuantizationPlan:
        """Return how the recipe wants every member quantized."""
        return planned(recipe.quantize)

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """Attach the plan, with static ranges measured on training texts if it needs them."""
        plan = planned(context.recipe.quantize)
        encoder, found = _without_outliers(encoder, context, plan)
        encoder, missed = _rounded(encoder, context, plan)
        wanted = context.recipe.quantize.schemes
        if plan.schemes != wanted:  # those that need ranges
            ranges = static_ranges(encoder, context)
            plan = replace(plan, schemes=wanted, static_ranges=ranges)
        if plan.reduce_range and not context.recipe.quantize.reduce_range:
            _log.info("INT8 weights have 7 bits: sums of 8 may saturate here, there is no VNNI")
        step = {
            "stage": self.name,
            **{name: _scheme(name, scheme).summary for name, scheme in plan.schemes.items()},
            "embeddings": plan.embeddings,
            "outlier_neurons": found.neurons if found else 0,
            "outlier_channels": found.channels if found else 0,
            **({"rounding_error": round(missed, 3)} if missed is not None else {}),
            "in_words": _in_words(plan, found, missed),
            **({"weight_bits": 7} if plan.reduce_range else {}),
        }
        return replace(encoder, plan=plan, lineage=(*encoder.lineage, step))


def _without_outliers(
    encoder: Encoder, context: Context, plan: QuantizationPlan
) -> tuple[Encoder, "Suppressed | None"]:
    """Return the encoder for INT8, and what was done to it, if anything."""
    if not context.recipe.quantize.suppress_outliers:
        return encoder, None
    from compress.quantization.outliers import suppress_outliers
    from compress.quantization.rounding import FINER

    settings = context.recipe.quantize
    texts = context.material.sample(settings.calibration_texts, "ranges")
    found = suppress_outliers(
        encoder.module,
        texts,
        plan,
        progress=context.progress,
        finer=FINER if settings.round_weights else 1,
    )
    if not found.neurons + found.channels:
        return encoder, None
    _log.info(
        "%d neurons and %d channels that stood out are smaller now: of the error of INT8 in the "
        "feed-forward networks %.0f%% is left",
        found.neurons,
        found.channels,
        100 * found.gain,
    )
    return replace(encoder, module=found.model), found


def _rounded(
    encoder: Encoder, context: Context, plan: QuantizationPlan
) -> tuple[Encoder, float | None]:
    """Return the encoder of rounded weights, and what is left of what rounding usually costs."""
    if not context.recipe.quantize.round_weights or plan.is_float("onnxruntime"):
        return encoder, None
    from compress.quantization.rounding import ROUNDING_TEXTS, round_weights

    texts = context.material.sample(ROUNDING_TEXTS, "rounding")
    rounded = round_weights(encoder.module, texts, plan, progress=context.progress)
    _log.info("of the error of rounded weights %.0f%% is left", 100 * rounded.error)
    return replace(encoder, module=rounded.model), rounded.error


def _in_words(plan: QuantizationPlan, found: "Suppressed | None", missed: float | None) -> str:
    files = (
        f"{_scheme(name, scheme).summary} for {runtime_title(name)}"
        for name, scheme in plan.schemes.items()
    )
    bits = "; weights have 7 bits, which are safe without VNNI" if plan.reduce_range else ""
    said = f"It was quantized: {'; '.join(files)}; {plan.embeddings.upper()} embeddings{bits}."
    if missed is not None:
        said += (
            f" Weights were rounded for what layers give: {missed:.0%} of the error of rounding "
            "each to its nearest level is left."
        )
    if found is None:
        return said
    channels = f" and {found.channels} channels" if found.channels else ""
    return (
        f"{said} Before, {found.neurons} neurons{channels} that stood out were made smaller by an "
        "equal model: they would have coarsened INT8 for all others."
    )


def planned(settings: QuantizeSettings) -> QuantizationPlan:
    """Return how members are to be quantized, before anything was measured.

    Static ranges are measured on the finished weights; until then dynamic ones stand in for them.
    """
    from compress.quantization.plan import quantization_plan

    return quantization_plan(
        # A scheme that is not given is the default.
        {n: s for n, s in settings.schemes.items() if not _scheme(n, s).needs_ranges},
        embeddings=settings.embeddings,
        reduce_range=settings.reduce_range,
        float_layers=settings.float_layers,
        calibration_texts=settings.calibration_texts,
        smooth_quant_alpha=settings.smooth_quant_alpha,
    )


def _scheme(runtime: str, name: str) -> Scheme:
    return get_target(runtime).SCHEMES[name]


def static_ranges(encoder: Encoder, context: Context) -> dict[str, tuple[float, float]]:
    """Return, by linear layer, the range of its inputs on training texts."""
    from compress.quantization.calibration import activation_ranges

    count = context.recipe.quantize.calibration_texts
    texts = context.material.sample(count, "ranges")
    return activation_ranges(encoder.module, texts, progress=context.progress)


def _linear_layers(encoder: Encoder) -> list[str]:
    parts = ("attention.qkv", "attention.output", "feed_forward.up", "feed_forward.down")
    return [
        f"layers.{index}.{part}"
        for index in range(len(encoder.module.config.layers))
        for part in parts
    ]


STAGE = Quantize()
