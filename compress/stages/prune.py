"""Pruning: heads, neurons and layers that matter least are removed, and the rest is repaired."""

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from compress.config.loading import Settings
from compress.errors import RecipeError
from compress.stages.base import Context, Encoder
from compress.stages.lineage import left_in_words, original_entry

if TYPE_CHECKING:
    from compress.config.recipe import Recipe
    from compress.encoder.surgery import SlicePlan
    from compress.pruning.importance import Importance
    from compress.pruning.to_budget import Lightened

__all__ = ["STAGE", "Prune", "PruneSettings"]

# Training texts that layers are compared on, and that projections are refitted on: half of what a
# family's members get, because this is what `fast` does.
_PROBE_TEXTS, _REPAIR_TEXTS = 256, 512
# To a budget, classes of each text whose losses are looked at: next to all of the chances.
_CLASSES = 2
# What is removed of heads and neurons where only the other share is given, or there is no budget.
_USUAL = 0.33, 0.4


class PruneSettings(Settings):
    """Settings of the `prune` stage: of how it prunes, and, without `speedups`, how much."""

    heads: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of all attention heads to remove; by default, without `neurons` and "
        "`layers`, of both what the budget allows",
    )
    neurons: float | None = Field(
        None, ge=0, lt=1, description="share of all FFN neurons to remove; by default as `heads`"
    )
    layers: int = Field(0, ge=0, description="whole layers to remove, least important first")
    neuron_step: int = Field(32, ge=1, description="FFN widths are multiples of this")
    steps: int = Field(2, ge=1, description="by shares, prune and repair in this many turns")
    scores: Literal["labels", "teacher"] | None = Field(
        None,
        description="what heads and neurons are chosen by: the labels' Fisher information, or the "
        "divergence from the teacher; by default what keeps the first member nearer to the teacher",
    )
    importance_texts: int = Field(1024, ge=1, description="training texts that scores are from")

    @property
    def shares(self) -> bool:
        """Whether the settings say how much to remove."""
        return self.heads is not None or self.neurons is not None or self.layers > 0

    @property
    def removed(self) -> tuple[float, float]:
        """Shares of heads and of neurons that go where the budget does not say it."""
        heads, neurons = _USUAL
        return (
            heads if self.heads is None else self.heads,
            neurons if self.neurons is None else self.neurons,
        )


class Prune:
    """Removes the least important parts physically: to a latency, or by shares of what is there."""

    name = "prune"
    Settings = PruneSettings
    changes_weights = True
    runs_on_every_process = False
    meets_latency = True

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse to remove what is not there.

        Raises:
            RecipeError: `prune.layers` would leave no layer.
        """
        from compress.predictions.objective import objective_for

        depth = len(encoder.module.config.layers)
        classes = objective_for(encoder.module.config).of_classes
        if context.recipe.prune.scores == "teacher" and not classes:
            raise RecipeError("prune.scores=teacher is for one class a decision; leave it out")
        if context.recipe.prune.layers >= depth:
            raise RecipeError(
                f"prune.layers={context.recipe.prune.layers}: the model has {depth} layers here, "
                f"so at most {depth - 1} can be removed"
            )

    def cache_key(self, context: Context) -> Sequence[Any]:
        """Return the latency to reach, and what sizes cost; or the budget."""
        if context.target_ms is not None:
            table = None if context.latency is None else context.latency.to_json()
            return context.target_ms, table
        if _to_budget(context):
            return None, None, context.recipe.budget, context.recipe.confidence
        return None, None

    def plan(self, recipe: "Recipe") -> None:
        """Leave quantization to others."""

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """Return the smaller model, repaired by least squares; training it is the next stage's."""
        from compress.distillation.layer_map import after_removal, imitated_layers
        from compress.pruning.importance import fisher_importance
        from compress.pruning.to_latency import share_of, shrink
        from compress.system.device import reduced_precision

        start = time.monotonic()
        settings, material = context.recipe.prune, context.material
        state, scored_by = encoder.state, encoder.state.scored_by
        sizes, teacher = context.source.module.config.layer_sizes, context.teacher.module
        whole = copy.deepcopy(encoder.module).to(material.device)
        layer_map = imitated_layers(
            state.layer_map, len(whole.config.layers), len(teacher.config.layers)
        )
        entry: dict[str, Any] = {"stage": self.name}
        scores = None
        with reduced_precision(material.device):
            if state.provenance is None:  # the first look at the original is what the report shows
                if _to_budget(context):
                    scores = _compensated(whole, context)
                else:
                    count = share_of(settings.importance_texts, context.pruning_share)
                    scores = fisher_importance(
                        whole,
                        material.sample(count, "importance"),
                        progress=context.progress,
                        seed=context.recipe.seed + 1,
                    )
                entry |= original_entry(sizes, scores)
            if context.target_ms is not None and context.latency is not None:
                shrunk = shrink(
                    whole,
                    material,
                    context.latency,
                    context.target_ms,
                    neuron_step=settings.neuron_step,
                    importance_texts=settings.importance_texts,
                    scores=settings.scores or scored_by,
                    share=context.pruning_share,
                    seed=context.recipe.seed,
                    progress=context.progress,
                )
                smaller, kept, plans = shrunk.model, shrunk.layers, shrunk.plans
                if len(shrunk.tried_scores) > 1:  # members made from this one need not compare
                    scored_by = shrunk.scores
                entry |= {
                    "target_ms": round(context.target_ms, 3),
                    "predicted_ms": round(shrunk.predicted_ms, 3),
                    "kl_by_depth": {str(depth): kl for depth, kl in shrunk.tried.items()},
                    "scores": shrunk.scores,
                    "kl_by_scores": dict(shrunk.tried_scores),
                }
            elif _to_budget(context):
                light = _by_budget(whole, scores or _compensated(whole, context), context)
                if light is None:
                    context.progress.say(
                        "Nothing was pruned: without training it costs more than the budget."
                    )
                    return encoder
                smaller, plans = light.model, (light.plan,)
                kept = tuple(range(len(whole.config.layers)))
                entry |= {
                    "multiplications": round(light.share, 3),
                    "drop_by_share": {str(share): drop for share, drop in light.tried.items()},
                }
            else:
                smaller, kept, plans = _by_shares(whole, scores, context)
                entry["turns"] = settings.steps
        provenance = state.parts_left(sizes)
        for plan in plans:
            provenance = provenance.after(plan)
        layer_map = after_removal(kept, layer_map)
        evaluation = material.guide.evaluate(smaller)
        aim = ""
        if "target_ms" in entry:
            aim = f", towards {entry['target_ms']:.2f} ms by the latency table"
        left = left_in_words(sizes, smaller.config.layer_sizes)
        entry |= {
            "in_words": f"Parts that matter least were removed{aim}: {left} were kept, and what "
            "follows them was refitted.",
            "teacher_layers": list(layer_map),
            "heads": [layer["heads"] for layer in smaller.config.layers],
            "neurons": [layer["intermediate_size"] for layer in smaller.config.layers],
            "provenance": provenance.to_json(),
            **{f"guide_{name}": round(v, 4) for name, v in evaluation.figures.items()},
            "seconds": round(time.monotonic() - start, 1),
        }
        smaller = smaller.to("cpu").eval()
        state = replace(
            state,
            stages_applied=state.stages_applied + 1,
            layer_map=layer_map,
            provenance=provenance,
            scored_by=scored_by,
        )
        return replace(encoder, module=smaller, lineage=(*encoder.lineage, entry), state=state)


def _to_budget(context: Context) -> bool:
    """Return whether the budget says how much to remove."""
    settings = context.recipe.prune
    return context.target_ms is None and context.drop_of is not None and not settings.shares


def _compensated(whole: Any, context: Context) -> "Importance":
    """Return what heads and neurons are worth where what stays is refitted."""
    from compress.predictions.objective import objective_for
    from compress.pruning.compensated import compensated_importance
    from compress.pruning.importance import label_losses, teacher_losses

    settings, material, seed = context.recipe.prune, context.material, context.recipe.seed + 1
    if objective_for(whole.config).of_classes:
        texts, logits = material.asked(settings.importance_texts, "importance")
        losses = teacher_losses(logits, texts, classes=_CLASSES, seed=seed)
    else:
        texts = material.sample(settings.importance_texts, "importance")
        losses = label_losses(whole, texts, seed=seed)
    return compensated_importance(
        whole, losses, texts, neuron_step=settings.neuron_step, progress=context.progress
    )


def _by_budget(whole: Any, scores: "Importance", context: Context) -> "Lightened | None":
    """Return the smallest model that is probably inside the budget; None where none is."""
    from compress.pruning.to_budget import lighten

    settings, material = context.recipe.prune, context.material
    budget, drop_of = context.recipe.budget, context.drop_of
    assert budget is not None  # the caller has looked
    assert drop_of is not None
    scored = material.sample(settings.importance_texts, "importance")
    return lighten(
        whole,
        scores,
        material.sample(_REPAIR_TEXTS, "repair"),
        drop_of,
        budget,
        lost_a_decision=0.5 / max(1, scored.decision_count),  # second order: half of the squares
        neuron_step=settings.neuron_step,
        progress=context.progress,
    )


def _by_shares(
    whole: Any, scores: "Importance | None", context: Context
) -> tuple[Any, tuple[int, ...], "tuple[SlicePlan, ...]"]:
    """Return the model without the settings' shares, the layers that are left, and the cuts.

    Each turn removes as much as the others and is repaired towards the whole model. `scores` are
    the whole model's, if they are known.
    """
    from compress.encoder.surgery import slice_model
    from compress.pruning.reconstruction import repair_outputs

    settings, material = context.recipe.prune, context.material
    kept = tuple(range(len(whole.config.layers)))
    smaller, plans = whole, list["SlicePlan"]()
    for turn in range(1, settings.steps + 1):
        plans.append(_plan(smaller, scores if turn == 1 else None, turn, context))
        smaller = slice_model(smaller, plans[-1])
        if plans[-1].layers is not None:
            kept = tuple(kept[layer] for layer in plans[-1].layers)
        repair_outputs(
            smaller,
            whole,
            material.sample(_REPAIR_TEXTS, "repair"),
            kept,
            progress=context.progress,
        )
    return smaller, kept, tuple(plans)


def _plan(model: Any, scores: "Importance | None", turn: int, context: Context) -> "SlicePlan":
    """Plan what stays after this turn."""
    from compress.encoder.surgery import SlicePlan
    from compress.pruning.importance import fisher_importance
    from compress.pruning.layers import layers_left
    from compress.pruning.ranking import keep_best_heads, keep_best_neurons

    settings, material = context.recipe.prune, context.material
    layers_now = len(model.config.layers)
    layers: tuple[int, ...] | None = None
    gone, gone_before = (-(-settings.layers * t // settings.steps) for t in (turn, turn - 1))
    if excess := gone - gone_before:
        probe, logits = material.asked(_PROBE_TEXTS, "probe")
        layers = layers_left(model, probe, logits, excess, progress=context.progress)
    if scores is None:
        scores = fisher_importance(
            model,
            material.sample(settings.importance_texts, "importance"),
            progress=context.progress,
            seed=context.recipe.seed + turn,
        )
    heads_share, neurons_share = (
        _share_now(share, turn, settings.steps) for share in settings.removed
    )
    stay = range(layers_now) if layers is None else layers
    head_scores = [scores.heads[layer] for layer in stay]
    neuron_scores = [scores.neurons[layer] for layer in stay]
    # A classifier runs the last layer's FFN on one token only: neurons there cost next to
    # nothing and score next to nothing. Ranked with the others they would make up the whole
    # share, and nothing would get faster.
    alone = model.config.first_token_last_layer and len(neuron_scores) > 1
    groups = [neuron_scores[:-1], neuron_scores[-1:]] if alone else [neuron_scores]
    heads = keep_best_heads(head_scores, round(heads_share * sum(map(len, head_scores))))
    neurons = [
        kept
        for group in groups
        for kept in keep_best_neurons(
            group, round(neurons_share * sum(map(len, group))), settings.neuron_step
        ).values()
    ]
    return SlicePlan(
        layers=layers,
        heads={layer: heads[position] for position, layer in enumerate(stay)},
        neurons={layer: neurons[position] for position, layer in enumerate(stay)},
    )


def _share_now(share: float, turn: int, turns: int) -> float:
    """Return the share of what is there now to remove, so that all turns remove `share` in all."""
    left = 1 - share * (turn - 1) / turns
    return (share / turns) / left


STAGE = Prune()
