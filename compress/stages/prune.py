"""Pruning: heads, neurons and layers that matter least are removed, and the rest recovers."""

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np

from compress.distillation import Selection, limited, match_teacher, with_augmentation
from compress.encoder.surgery import SlicePlan, slice_model
from compress.errors import RecipeError
from compress.importance import fisher_importance, least_important_layers
from compress.inference import predict_logits
from compress.layer_map import LINEAGE_KEY, after_removal, imitated_layers
from compress.ranking import keep_best_heads, keep_best_neurons
from compress.repair import repair_outputs
from compress.stages.base import Context, Encoder
from compress.tokenized import TokenizedTexts, tokenize
from compress.train import training_device

__all__ = ["STAGE", "Prune"]

# Training texts that projections are refitted on, and that layers are compared on.
REPAIR_TEXTS, PROBE_TEXTS = 512, 384


class Prune:
    """Removes the least important parts physically, in turns, each followed by recovery."""

    name = "prune"

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse to remove what is not there.

        Raises:
            RecipeError: `prune.layers` would leave no layer.
        """
        depth = len(encoder.module.config.layers)
        if context.recipe.prune.layers >= depth:
            raise RecipeError(
                f"prune.layers={context.recipe.prune.layers}: the model has {depth} layers here, "
                f"so at most {depth - 1} can be removed"
            )

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """The smaller model, recovered; with `epochs` 0 repaired by least squares only."""
        start = time.monotonic()
        settings, seed = context.recipe.prune, context.recipe.seed
        device = training_device()
        teacher = copy.deepcopy(context.teacher.module).to(device)
        student = copy.deepcopy(encoder.module).to(device)
        rng = np.random.default_rng([seed, 2])
        texts = tokenize(context.train, encoder.tokenizer, context.max_length)
        texts = limited(texts, settings.max_train_texts, rng)
        chosen = tokenize(context.selection, encoder.tokenizer, context.max_length)
        selection = Selection.of(teacher, chosen)
        copies = settings.augment if settings.epochs > 0 else 0
        pool = with_augmentation(
            texts,
            encoder.tokenizer,
            teacher,
            copies=copies,
            max_length=context.max_length,
            rng=rng,
        )
        layer_map = imitated_layers(
            encoder.lineage, len(student.config.layers), len(teacher.config.layers)
        )
        # Repair aims at the model before pruning; after training, at what training made of it.
        reference, kept_of_reference = student, tuple(range(len(layer_map)))
        steps, evaluation, repaired = 0, None, []
        for turn in range(1, settings.steps + 1):
            plan = _plan(student, turn, teacher, texts, context, rng)
            smaller = slice_model(student, plan)
            kept = tuple(range(len(layer_map))) if plan.layers is None else tuple(plan.layers)
            sample = limited(texts, REPAIR_TEXTS, rng)
            kept_of_reference = tuple(kept_of_reference[layer] for layer in kept)
            repair = repair_outputs(
                smaller, reference, sample, kept_of_reference, progress=context.progress
            )
            repaired.append(f"{repair.refitted}/{repair.total}")
            student = smaller
            layer_map = after_removal(kept, layer_map)
            result = match_teacher(
                student,
                teacher,
                pool,
                settings,
                layer_map,
                selection=selection,
                progress=context.progress,
                description=f"recovering, turn {turn} of {settings.steps}",
                folder=context.scratch,
                epochs=settings.epochs / settings.steps,
                seed=seed + turn,
            )
            if result.steps:
                reference, kept_of_reference = student, tuple(range(len(layer_map)))
            steps += result.steps
            evaluation = result.best
        assert evaluation is not None  # there is a turn, and it has a selection
        entry: dict[str, Any] = {
            "stage": self.name,
            LINEAGE_KEY: list(layer_map),
            "heads": [layer["heads"] for layer in student.config.layers],
            "neurons": [layer["intermediate_size"] for layer in student.config.layers],
            "turns": settings.steps,
            "refitted": repaired,
            "epochs": settings.epochs,
            "texts": len(pool),
            "steps": steps,
            "selection_accuracy": round(evaluation.figures["accuracy"], 3),
            "seconds": round(time.monotonic() - start, 1),
        }
        student = student.to("cpu").eval()
        return replace(encoder, module=student, lineage=(*encoder.lineage, entry))


def _plan(
    student: Any,
    turn: int,
    teacher: Any,
    texts: TokenizedTexts,
    context: Context,
    rng: np.random.Generator,
) -> SlicePlan:
    """What stays after this turn."""
    settings = context.recipe.prune
    layers_now = len(student.config.layers)
    layers: tuple[int, ...] | None = None
    gone, gone_before = (-(-settings.layers * t // settings.steps) for t in (turn, turn - 1))
    if excess := gone - gone_before:
        probe = limited(texts, PROBE_TEXTS, rng)
        skipped = least_important_layers(
            student, probe, predict_logits(teacher, probe), excess, progress=context.progress
        )
        layers = tuple(layer for layer in range(layers_now) if layer not in skipped)
    scored = limited(texts, settings.importance_texts, rng)
    scores = fisher_importance(
        student, scored, progress=context.progress, seed=context.recipe.seed + turn
    )
    heads_share, neurons_share = (
        _share_now(share, turn, settings.steps) for share in (settings.heads, settings.neurons)
    )
    stay = range(layers_now) if layers is None else layers
    head_scores = [scores.heads[layer] for layer in stay]
    neuron_scores = [scores.neurons[layer] for layer in stay]
    # A classifier runs the last layer's FFN on one token only: neurons there cost next to
    # nothing and score next to nothing. Ranked with the others they would make up the whole
    # share, and nothing would get faster.
    alone = student.config.first_token_last_layer and len(neuron_scores) > 1
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
    """The share of what is there now that `turn` removes, so that all remove `share` in all."""
    left = 1 - share * (turn - 1) / turns
    return (share / turns) / left


STAGE = Prune()
