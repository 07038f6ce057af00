"""Distillation: the encoder learns to answer like its teacher, and to bear INT8 rounding."""

import copy
import time
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any

from compress.config.recipe import DistillSettings
from compress.corpus.corpus import Purpose
from compress.corpus.selection_split import Selection
from compress.distillation.layer_map import LINEAGE_KEY, after_removal, imitated_layers
from compress.distillation.matching import MatchSettings, match_teacher
from compress.encoder.surgery import SlicePlan, keep_layers
from compress.errors import RecipeError
from compress.pruning.layers import layers_left
from compress.pruning.reconstruction import repair_outputs
from compress.quantization.fake_quantization import fake_quantized
from compress.stages.base import Context, Encoder
from compress.stages.lineage import Provenance
from compress.stages.quantize import quantization_plan
from compress.system.distributed import from_main
from compress.training.loop import Evaluation
from export.quantization import QuantizationPlan

__all__ = ["STAGE", "Distill"]

# Training texts on which layers are compared, and projections refitted.
PROBE_TEXTS, REPAIR_TEXTS = 384, 512
# The KL up to which a student is trained gently: on SST-2 the full rate takes one that begins at
# 0.05 to 0.07, and one at 0.11 nowhere; half of it takes that one to 0.10.
_GENTLY = 0.12


class Distill:
    """Trains the encoder to match the full-precision model; with `layers`, a shallower student.

    Layers that go are stood in for by least squares before the training: on SST-2, 4 of 6 layers
    so start at 86 points rather than at 82.7.
    """

    name = "distill"

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse layers that the encoder does not have, or that pruning chooses.

        Raises:
            RecipeError: `distill.layers` asks for more layers than there are, for none, or for
                indices that do not exist; or members are pruned to speed-ups, layers and all.
        """
        depth = len(encoder.module.config.layers)
        recipe = context.recipe
        wanted = recipe.distill.layers
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
        if wanted is not None and recipe.by_latency:
            raise RecipeError(
                f"distill.layers={wanted}: which layers stay is chosen by what they cost, for each "
                "of the speed-ups",
                hint="add speedups=[] for one student of these layers",
            )

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """The student with the best weights by the selection split."""
        start = time.monotonic()
        settings, material = context.recipe.distill, context.material
        teacher_depth = len(context.teacher.module.config.layers)
        student = copy.deepcopy(encoder.module).to(material.device)
        layer_map = imitated_layers(encoder.lineage, len(student.config.layers), teacher_depth)
        entry: dict[str, Any] = {"stage": self.name}
        if settings.layers is not None:
            kept = self._layers(student, context)
            whole, student = student, keep_layers(student, kept)
            layer_map = after_removal(kept, layer_map)
            repair = repair_outputs(
                student,
                whole,
                material.sample(REPAIR_TEXTS, Purpose.REPAIR),
                kept,
                progress=context.progress,
            )
            provenance = Provenance.of(encoder.lineage, context.teacher.module.config.layer_sizes)
            entry |= {
                "layers": list(kept),
                "refitted": f"{repair.refitted}/{repair.total}",
                **provenance.after(SlicePlan(layers=kept)).entry(),
            }
        plan = quantization_plan(context.recipe) if "quantize" in context.recipe.stages else None
        before = _deployed(student, plan, material.selection)
        entry[LINEAGE_KEY] = list(layer_map)
        # By the first process's figures: all train, or none.
        distance = from_main(before.figures["kl"])
        if distance < settings.enough and from_main(context.acceptable(student)):
            entry |= {"steps": 0, **_figures(before)}
            student = student.to("cpu").eval()
            return replace(encoder, module=student, lineage=(*encoder.lineage, entry))
        untrained = copy.deepcopy(student)
        lessons = sum(step.get("steps", 0) > 0 for step in encoder.lineage)
        outputs, members = material.pool(
            most_texts=settings.max_train_texts, copies=settings.augment, draw=lessons
        )
        if lessons or distance < _GENTLY:
            settings = _continued(settings)
        depth = len(student.config.layers)
        result = match_teacher(
            student,
            outputs,
            _match_settings(settings),
            layer_map,
            members=members,
            plan=plan,
            selection=material.selection,
            progress=context.progress,
            description=f"distilling, {depth} layer{'s' if depth > 1 else ''}",
            seed=context.recipe.seed + len(encoder.lineage),
        )
        best = _deployed(student, plan, material.selection)
        if before.score > best.score:  # training undid more than it mended
            student, best = untrained, before
        entry |= {
            "epochs": settings.epochs,
            "texts": len(members),
            "steps": result.steps,
            **_figures(best),
            "seconds": round(time.monotonic() - start, 1),
        }
        student = student.to("cpu").eval()
        return replace(encoder, module=student, lineage=(*encoder.lineage, entry))

    def _layers(self, student: Any, context: Context) -> tuple[int, ...]:
        """Indices of the layers that stay."""
        depth, wanted = len(student.config.layers), context.recipe.distill.layers
        if isinstance(wanted, tuple):
            return wanted
        probe = context.material.sample(PROBE_TEXTS, Purpose.PROBE)
        remove = depth - (wanted or depth)
        return layers_left(student, context.material, probe, remove, progress=context.progress)


def _continued(settings: DistillSettings) -> DistillSettings:
    """For a student that was trained before it was cut, or is near its teacher as it is: it has
    less to learn, and to lose."""
    return settings.model_copy(
        update={
            "epochs": settings.epochs * settings.continued_epochs,
            "learning_rate": settings.learning_rate * settings.continued_rate,
        }
    )


def _match_settings(settings: DistillSettings) -> MatchSettings:
    names = [field.name for field in fields(MatchSettings)]
    return MatchSettings(**{name: getattr(settings, name) for name in names})


def _deployed(student: Any, plan: QuantizationPlan | None, selection: Selection) -> Evaluation:
    """How good the student is once it is quantized."""
    with fake_quantized(student, plan) if plan is not None else nullcontext():
        return selection.evaluate(student)


def _figures(evaluation: Evaluation) -> dict[str, float]:
    return {f"selection_{name}": round(value, 4) for name, value in evaluation.figures.items()}


STAGE = Distill()
