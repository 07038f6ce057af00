"""Distillation: a shallower student made of the teacher's own layers learns to answer like it."""

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np

from compress.distillation import Selection, limited, match_teacher, with_augmentation
from compress.encoder.surgery import keep_layers
from compress.errors import RecipeError
from compress.importance import least_important_layers
from compress.inference import predict_logits
from compress.layer_map import LINEAGE_KEY, after_removal, imitated_layers
from compress.repair import repair_outputs
from compress.stages.base import Context, Encoder
from compress.tokenized import TokenizedTexts, tokenize
from compress.train import training_device

__all__ = ["STAGE", "Distill"]

# Training texts on which layers are compared, and projections refitted.
PROBE_TEXTS, REPAIR_TEXTS = 384, 512


class Distill:
    """Builds a student from some of the layers and trains it to match the teacher.

    Before the training, least squares makes each layer that is left stand in for the removed ones
    behind it: on SST-2, 4 of 6 layers start at 86 points rather than at 82.7.
    """

    name = "distill"

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse layers that the encoder does not have.

        Raises:
            RecipeError: `distill.layers` asks for more layers than there are, for none, or for
                indices that do not exist.
        """
        depth = len(encoder.module.config.layers)
        wanted = context.recipe.distill.layers
        if isinstance(wanted, int) and not 1 <= wanted <= depth:
            raise RecipeError(
                f"distill.layers={wanted}: the model has {depth} layers, so 1 to {depth} can stay"
            )
        if isinstance(wanted, tuple):
            fits = bool(wanted) and all(0 <= layer < depth for layer in wanted)
            if not fits or list(wanted) != sorted(set(wanted)):
                raise RecipeError(
                    f"distill.layers={list(wanted)}: name layers 0 to {depth - 1}, ascending, each "
                    "once"
                )

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """The student with the best weights by the selection split."""
        start = time.monotonic()
        settings, seed = context.recipe.distill, context.recipe.seed
        device = training_device()
        teacher = copy.deepcopy(context.teacher.module).to(device)
        rng = np.random.default_rng([seed, 1])
        texts = tokenize(context.train, encoder.tokenizer, context.max_length)
        texts = limited(texts, settings.max_train_texts, rng)
        chosen = tokenize(context.selection, encoder.tokenizer, context.max_length)
        selection = Selection.of(teacher, chosen)

        kept = self._layers(encoder, teacher, limited(texts, PROBE_TEXTS, rng), context)
        whole = copy.deepcopy(encoder.module).to(device)
        layer_map = after_removal(
            kept,
            imitated_layers(encoder.lineage, len(whole.config.layers), len(teacher.config.layers)),
        )
        student = keep_layers(whole, kept)
        repair = repair_outputs(
            student, whole, limited(texts, REPAIR_TEXTS, rng), kept, progress=context.progress
        )
        copies = settings.augment if settings.epochs > 0 else 0
        pool = with_augmentation(
            texts,
            encoder.tokenizer,
            teacher,
            copies=copies,
            max_length=context.max_length,
            rng=rng,
        )
        result = match_teacher(
            student,
            teacher,
            pool,
            settings,
            layer_map,
            selection=selection,
            progress=context.progress,
            description=f"distilling to {len(kept)} layers",
            folder=context.scratch,
            seed=seed,
        )
        assert result.best is not None  # a selection was given
        entry: dict[str, Any] = {
            "stage": self.name,
            "layers": list(kept),
            LINEAGE_KEY: list(layer_map),
            "refitted": f"{repair.refitted}/{repair.total}",
            "epochs": settings.epochs,
            "texts": len(pool),
            "steps": result.steps,
            "selection_accuracy": round(result.best.figures["accuracy"], 3),
            "seconds": round(time.monotonic() - start, 1),
        }
        student = student.to("cpu").eval()
        return replace(encoder, module=student, lineage=(*encoder.lineage, entry))

    def _layers(
        self, encoder: Encoder, teacher: Any, probe: TokenizedTexts, context: Context
    ) -> tuple[int, ...]:
        """Indices of the layers that stay."""
        depth = len(encoder.module.config.layers)
        wanted = context.recipe.distill.layers
        if isinstance(wanted, tuple):
            return wanted
        count = -(-2 * depth // 3) if wanted is None else wanted
        if count == depth:
            return tuple(range(depth))
        model = copy.deepcopy(encoder.module).to(next(teacher.parameters()).device)
        skipped = least_important_layers(
            model, probe, predict_logits(teacher, probe), depth - count, progress=context.progress
        )
        return tuple(layer for layer in range(depth) if layer not in skipped)


STAGE = Distill()
