"""Distillation: the encoder learns to answer like its teacher, and to bear INT8 rounding."""

import copy
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from compress.config.loading import Settings
from compress.errors import RecipeError
from compress.stages import by_latency
from compress.stages.base import Context, Encoder
from compress.stages.lineage import EncoderState
from compress.training.rates import rate_for_width

if TYPE_CHECKING:
    from compress.config.recipe import Recipe
    from compress.corpus.selection_split import Selection
    from compress.distillation.matching import MatchSettings
    from compress.training.loop import Evaluation
    from export.quantization import QuantizationPlan

__all__ = ["STAGE", "Distill", "DistillSettings"]

# Training texts on which layers are compared, and projections refitted.
PROBE_TEXTS, REPAIR_TEXTS = 384, 512
# The KL up to which a student is trained gently: on SST-2 the full rate takes one that begins at
# 0.05 to 0.07, and one at 0.11 nowhere; half of it takes that one to 0.10.
_GENTLY = 0.12


class DistillSettings(Settings):
    """Settings of the `distill` stage: how a student is trained to match its teacher."""

    epochs: float = Field(0.7, ge=0, description="passes over the (augmented) training text")
    batch_size: int = Field(32, ge=1, description="texts a step")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="peak of the linear schedule; by default 2e-4 for students of 384, 5e-5 for "
        "those of 768",
    )
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps that warm up")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW; biases and norms are exempt")
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
    minutes: float = Field(
        8.0,
        gt=0,
        description="most of them that a member is trained; where the first steps tell that it "
        "would take longer there are fewer. A time budget may leave less",
    )
    max_train_texts: int = Field(60_000, ge=1, description="larger training splits are sampled")
    student_epochs: float = Field(
        3.0,
        gt=0,
        description="factor for a student of other origin: at first it has the task to learn",
    )
    quantization_aware: float = Field(
        0.2, ge=0, lt=1, description="last share of the steps, taken with INT8 rounding; 0 is off"
    )
    rounding_share: float = Field(
        0.1,
        ge=0,
        description="INT8 rounding is trained for where it adds more than this share to the KL "
        "from the teacher",
    )
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


class Distill:
    """Trains the encoder to match the full-precision model; with `layers`, a shallower student.

    Layers that go are stood in for by least squares before the training: on SST-2, 4 of 6 layers
    so start at 86 points rather than at 82.7.
    """

    name = "distill"
    Settings = DistillSettings
    changes_weights = True
    runs_on_every_process = True
    meets_latency = False

    def check(self, encoder: Encoder, context: Context) -> None:
        """Refuse layers that the encoder does not have, or that pruning chooses.

        Raises:
            RecipeError: `distill.layers` asks for more layers than there are, for none, or for
                indices that do not exist; or members are pruned to speed-ups, layers and all.
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
        if wanted is not None and by_latency(context.recipe):
            raise RecipeError(
                f"distill.layers={wanted}: which layers stay is chosen by what they cost, for each "
                "of the speed-ups",
                hint="add speedups=[] for one student of these layers",
            )

    def cache_key(self, context: Context) -> Sequence[Any]:
        """Return INT8 to come, and what decides whether a student is good enough as it is."""
        recipe = context.recipe
        plan = None if context.plan is None else context.plan.to_json()
        return plan, recipe.budget, recipe.confidence, context.training_share

    def plan(self, recipe: "Recipe") -> None:
        """Leave quantization to others."""

    def apply(self, encoder: Encoder, context: Context) -> Encoder:
        """Return the student with the best weights by the texts that guide the training."""
        from compress.distillation.layer_map import after_removal, imitated_layers
        from compress.distillation.matching import match_teacher
        from compress.encoder.surgery import SlicePlan, keep_layers
        from compress.pruning.reconstruction import repair_outputs
        from compress.system.distributed import from_main

        start = time.monotonic()
        settings, material, plan = context.recipe.distill, context.material, context.plan
        state = encoder.state
        teacher_depth = len(context.teacher.module.config.layers)
        student = copy.deepcopy(encoder.module).to(material.device)
        layer_map = imitated_layers(state.layer_map, len(student.config.layers), teacher_depth)
        entry: dict[str, Any] = {"stage": self.name}
        if settings.layers is not None:
            kept = self._layers(student, context)
            whole, student = student, keep_layers(student, kept)
            layer_map = after_removal(kept, layer_map)
            repair = repair_outputs(
                student,
                whole,
                material.sample(REPAIR_TEXTS, "repair"),
                kept,
                progress=context.progress,
            )
            parts = state.parts_left(context.source.module.config.layer_sizes)
            state = replace(state, provenance=parts.after(SlicePlan(layers=kept)))
            assert state.provenance is not None  # for the type checker
            entry |= {
                "layers": list(kept),
                "refitted": f"{repair.refitted}/{repair.total}",
                "provenance": state.provenance.to_json(),
            }
        before = _deployed(student, plan, material.guide)
        entry["teacher_layers"] = list(layer_map)
        state = replace(state, stages_applied=state.stages_applied + 1, layer_map=tuple(layer_map))
        # By the first process's figures: all train, or none.
        distance = from_main(before.figures["kl"])
        if distance < settings.enough and from_main(context.acceptable(student)):
            entry |= {"steps": 0, **_figures(before)}
            return _done(encoder, student, entry, state)
        untrained = copy.deepcopy(student)
        lessons = state.times_trained
        epochs = settings.epochs * context.training_share
        foreign = context.student is not None and not lessons
        more = settings.student_epochs if foreign else 1.0
        settings = settings.model_copy(
            update={"epochs": epochs * more, "minutes": settings.minutes * more}
        )
        outputs, members = material.pool(
            most_texts=settings.max_train_texts, copies=settings.augment, draw=lessons
        )
        if settings.learning_rate is None:
            rate = rate_for_width(student.config.hidden_size)
            settings = settings.model_copy(update={"learning_rate": rate})
        if lessons or distance < _GENTLY:
            settings = _continued(settings)
        depth = len(student.config.layers)
        steps = match_teacher(
            student,
            outputs,
            _match_settings(settings),
            layer_map,
            members=members,
            plan=plan,
            guide=material.guide,
            aligned=material.aligned,
            progress=context.progress,
            description=f"distilling, {depth} layer{'s' if depth > 1 else ''}",
            seed=context.recipe.seed + encoder.state.stages_applied,
            seconds=min(60 * settings.minutes, context.training_s or math.inf),
        )
        best = _deployed(student, plan, material.guide)
        if before.score > best.score:  # training undid more than it mended
            student, best = untrained, before
            entry["undone"] = True
        entry |= {
            "epochs": settings.epochs,
            "texts": len(members),
            "steps": steps,
            **_figures(best),
            "seconds": round(time.monotonic() - start, 1),
        }
        state = replace(state, times_trained=lessons + (steps > 0))
        return _done(encoder, student, entry, state)

    def _layers(self, student: Any, context: Context) -> tuple[int, ...]:
        """Return the indices of the layers that stay."""
        from compress.pruning.layers import layers_left

        depth, wanted = len(student.config.layers), context.recipe.distill.layers
        if isinstance(wanted, tuple):
            return wanted
        probe, logits = context.material.asked(PROBE_TEXTS, "probe")
        remove = depth - (wanted or depth)
        return layers_left(student, probe, logits, remove, progress=context.progress)


def _done(encoder: Encoder, student: Any, entry: dict[str, Any], state: EncoderState) -> Encoder:
    entry["in_words"] = _in_words(entry, len(student.config.layers))
    student = student.to("cpu").eval()
    return replace(encoder, module=student, lineage=(*encoder.lineage, entry), state=state)


def _in_words(entry: dict[str, Any], depth: int) -> str:
    cut = f"It was cut to {depth} layers. " if "layers" in entry else ""
    if "texts" not in entry:
        near = "its answers were as near to the original's as training would bring them"
        return f"{cut}It was not trained: {near}."
    if not entry["steps"]:
        return f"{cut}It was not trained."
    amount = f"{entry['steps']:,} steps on {entry['texts']:,} texts"
    if "undone" in entry:
        return f"{cut}{amount} brought it no nearer to the original, and were undone."
    return f"{cut}It was trained to answer as the original does (distillation): {amount}."


def _continued(settings: DistillSettings) -> DistillSettings:
    """Return settings for a student that was trained before, or is near its teacher as it is.

    It has less to learn, and more to lose.
    """
    assert settings.learning_rate is not None  # `apply` has chosen one by now
    return settings.model_copy(
        update={
            "epochs": settings.epochs * settings.continued_epochs,
            "learning_rate": settings.learning_rate * settings.continued_rate,
        }
    )


def _match_settings(settings: DistillSettings) -> "MatchSettings":
    from compress.distillation.matching import MatchSettings

    names = [field.name for field in fields(MatchSettings)]
    return MatchSettings(**{name: getattr(settings, name) for name in names})


def _deployed(student: Any, plan: "QuantizationPlan | None", guide: "Selection") -> "Evaluation":
    """Evaluate the student as it will be once it is quantized."""
    from compress.quantization.fake_quantization import fake_quantized

    with fake_quantized(student, plan, fixed=True) if plan is not None else nullcontext():
        return guide.evaluate(student)


def _figures(evaluation: "Evaluation") -> dict[str, float]:
    return {f"guide_{name}": round(value, 4) for name, value in evaluation.figures.items()}


STAGE = Distill()
