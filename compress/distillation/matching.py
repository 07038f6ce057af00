"""Teaches a student to answer as its teacher does.

The loss of a batch is the weighted sum of soft targets (last layer's answer), hidden states and
MiniLMv2 relations (the student's last layer against the teacher layer that it imitates) and, if
wanted, the true labels. Matching the layers in between as well changed nothing (docs/log.md), and
what the teacher says would take as many times the room.
"""

import copy
import logging
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.corpus.selection_split import Selection
from compress.corpus.teacher_outputs import TeacherBatch, TeacherOutputs
from compress.data.tokenized import collate, length_grouped_batches
from compress.data.unlabelled import tokenize_unlabelled
from compress.distillation.layer_map import imitated_layers
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.decisions import decided
from compress.predictions.losses import hidden_state_loss, relation_loss
from compress.predictions.objective import objective_for
from compress.quantization.fake_quantization import fake_quantized
from compress.system.device import training_device
from compress.system.distributed import from_main, own_share
from compress.system.progress import Progress, SilentProgress
from compress.training.loop import fit
from compress.training.rates import rate_for_width
from export.quantization import QuantizationPlan
from runtimes.base import TextInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["MatchSettings", "distill", "match_teacher", "rounding_matters"]

_log = logging.getLogger("edgepress")

# Batches that the teacher answers at a time.
_AHEAD = 16


@dataclass(frozen=True)
class MatchSettings:
    """Settings of training a student to match its teacher.

    Attributes:
        epochs: Passes over the texts; may be a fraction.
        batch_size: Texts a step.
        learning_rate: Peak of the linear schedule.
        warmup: Share of the steps that warm up.
        weight_decay: Of AdamW.
        temperature: Of the soft targets.
        soft_weight: Of the KL to the teacher's soft targets.
        hidden_weight: Of the MSE to the teacher's last hidden states.
        relation_weight: Of the KL of Q-Q, K-K and V-V relations.
        label_weight: Of the loss to the true labels.
        freeze_embeddings: Whether the word table is left as it is.
        quantization_aware: Last share of the steps, taken with INT8 rounding; 0 is off.
        rounding_share: Rounding is trained for where it adds more than this share to the KL.
    """

    epochs: float
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    temperature: float
    soft_weight: float
    hidden_weight: float
    relation_weight: float
    label_weight: float
    freeze_embeddings: bool
    quantization_aware: float
    rounding_share: float


def distill(
    student: "LeanEncoderWithHead",
    teacher: "LeanEncoderWithHead",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[TextInput],
    *,
    epochs: float = 1.0,
    batch_size: int = 32,
    learning_rate: float | None = None,
    temperature: float = 1.0,
    hidden_weight: float = 3.0,
    layer_map: Sequence[int] | None = None,
    plan: QuantizationPlan | None = None,
    max_length: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> "LeanEncoderWithHead":
    """Return a copy of a student that was trained to answer as its teacher does.

    The loss is KL(teacher || student) of the answers, softened by the temperature (Hinton et al.
    2015, https://arxiv.org/abs/1503.02531), and the mean squared error to the teacher's hidden
    states (B, T, H). AdamW with a linear schedule; the word table stays as it is; the weights after
    the last step are kept.

    Args:
        student: Lean encoder with the teacher's hidden size H and task; left as it was.
        teacher: The model that it was cut from; left as it was.
        tokenizer: Of both.
        texts: Strings, or (first, second) pairs, of the task's kind; the more the better; no
            labels.
        epochs: Passes over the texts; may be a fraction. 0 trains nothing.
        batch_size: Texts a step.
        learning_rate: Peak of the schedule, after a warm-up of 6% of the steps; None: by the
            student's width (`rate_for_width`).
        temperature: Of the answers; above 0.
        hidden_weight: Weight of the error to hidden states, beside 1 of the answers; 0: none.
        layer_map: By student layer, the teacher layer that it imitates; None spreads them evenly.
        plan: How the student will be quantized: the last fifth of the steps is taken with its
            rounding. None trains in float.
        max_length: Tokens kept of a text; None: what model and tokenizer allow.
        seed: Of the batches' order.
        progress: Told of each step; None shows nothing.

    Raises:
        ValueError: The layer map does not fit the two models.
        DataError: There are no texts.
    """
    tokens = tokenize_unlabelled(texts, tokenizer, student.config, max_length)
    device = training_device()
    learner, model = (copy.deepcopy(each).to(device) for each in (student, teacher))
    depths = len(student.config.layers), len(teacher.config.layers)
    settings = MatchSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate or rate_for_width(student.config.hidden_size),
        warmup=0.06,
        weight_decay=0.01,
        temperature=temperature,
        soft_weight=1.0,
        hidden_weight=hidden_weight,
        relation_weight=0.0,
        label_weight=0.0,
        freeze_embeddings=True,
        quantization_aware=0.2,
        rounding_share=0.0,
    )
    with (
        tempfile.TemporaryDirectory(prefix="edgepress-distill-") as folder,
        closing(TeacherOutputs(model.eval(), tokens, folder=Path(folder))) as outputs,
    ):
        match_teacher(
            learner,
            outputs,
            settings,
            imitated_layers(None, *depths) if layer_map is None else layer_map,
            plan=plan,
            guide=None,
            progress=progress or SilentProgress(),
            description="distilling",
            seed=seed,
        )
    return learner.to(student.device).eval()


def match_teacher(
    student: LeanEncoderWithHead,
    outputs: TeacherOutputs,
    settings: MatchSettings,
    layer_map: Sequence[int],
    *,
    members: NDArray[np.int64] | None = None,
    plan: QuantizationPlan | None = None,
    guide: Selection | None,
    aligned: bool = True,
    progress: Progress,
    description: str,
    seed: int = 0,
    seconds: float | None = None,
) -> int:
    """Train `student` in place to give the teacher's outputs on texts of `outputs`.

    Args:
        student: On the same device as the teacher.
        outputs: What the teacher says. Where its hidden size is another than the student's, a
            projection between the two is learnt on the way, and forgotten.
        settings: Weights of the losses, schedule, batch size.
        layer_map: By student layer, the teacher layer whose output it imitates.
        members: Indices of the texts that are learnt from; None is all of them.
        plan: How the student will be quantized: the last `settings.quantization_aware` of the
            steps are taken with its rounding, where that costs more than
            `settings.rounding_share` by then; None trains in float throughout.
        guide: Texts that pick the best weights; None keeps the last ones.
        aligned: Whether the student's tokens are the teacher's; hidden states and relations are
            compared only then.
        progress: Told of each step.
        description: What the bar says.
        seed: Of the batches' order.
        seconds: Time for it, see `fit`; None is as long as it takes.

    Returns:
        Optimizer steps taken.

    Raises:
        ValueError: The layer map does not fit the two models.
    """
    texts, depth = outputs.texts, len(outputs.teacher.config.layers)
    if len(layer_map) != len(student.config.layers) or not all(0 <= t < depth for t in layer_map):
        raise ValueError(
            f"the layer map {tuple(layer_map)} does not fit a student of "
            f"{len(student.config.layers)} layers and a teacher of {depth}"
        )
    objective = objective_for(student.config)
    uses_hidden = aligned and settings.hidden_weight > 0
    last = layer_map[-1]
    relation_layer = last if aligned and settings.relation_weight > 0 else None
    device = next(student.parameters()).device
    learner = nn.ModuleDict({"student": student})
    if uses_hidden:
        learner["projection"] = _projection(student, outputs.teacher, seed)
    pad = student.config.pad_token_id or 0
    lessons = _Lessons(
        outputs,
        np.arange(len(texts)) if members is None else members,
        settings.batch_size,
        seed,
        hidden_layers=(last,) if uses_hidden else (),
        relation_layer=relation_layer,
    )

    def step_loss(indices: NDArray[np.int64]) -> Tensor:
        target = lessons.answers(indices)
        inputs = collate(texts, indices, pad, device)
        padding = inputs.get("attention_mask")
        own = student(
            **inputs,
            output_hidden_states=uses_hidden,
            output_qkv=relation_layer is not None,
        )
        loss = settings.soft_weight * objective.soft(
            student.answers(own.logits, padding),
            student.answers(target.logits, padding),
            settings.temperature,
        )
        if uses_hidden:
            hidden = learner["projection"](own.hidden_states[-1])
            distance = hidden_state_loss(hidden, target.hidden[last], padding)
            loss = loss + settings.hidden_weight * distance
        if target.qkv is not None:
            relations = relation_loss(own.qkv[-1], target.qkv, padding)
            loss = loss + settings.relation_weight * relations
        if settings.label_weight > 0 and texts.labels is not None:
            labels = torch.from_numpy(texts.labels[texts.decisions(indices)]).to(device)
            answers = decided(own.logits, texts, indices)
            loss = loss + settings.label_weight * objective.hard(answers, labels)
        return loss

    aware = settings.quantization_aware if plan is not None else 0.0
    frozen = _freeze_embeddings(student) if settings.freeze_embeddings else []
    with ExitStack() as rounding:

        def begin_rounding() -> bool:
            assert plan is not None  # it is begun only for a plan
            if guide is not None and not from_main(
                rounding_matters(student, plan, guide, settings.rounding_share)
            ):
                return False
            rounding.enter_context(fake_quantized(student, plan))
            return True

        try:
            return fit(
                learner,
                step_loss,
                lessons.batches,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
                warmup=settings.warmup,
                weight_decay=settings.weight_decay,
                progress=progress,
                description=description,
                evaluate=None if guide is None else lambda: guide.evaluate(student),
                last_phase=(1.0 - aware, begin_rounding) if aware else None,
                seconds=seconds,
            )
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)


class _Lessons:
    """Batches of texts, and the teacher's answers to them.

    The teacher is asked for those of some batches at a time.

    Args:
        outputs: What the teacher says.
        members: (n,) indices of the texts.
        batch_size: Texts of a batch.
        seed: Of their order.
        hidden_layers: See `TeacherOutputs.batch`.
        relation_layer: Likewise.
    """

    def __init__(
        self,
        outputs: TeacherOutputs,
        members: NDArray[np.int64],
        batch_size: int,
        seed: int,
        *,
        hidden_layers: Sequence[int],
        relation_layer: int | None,
    ) -> None:
        self._outputs, self._members, self._seed = outputs, members, seed
        self._lengths, self._batch_size = outputs.texts.lengths[members], batch_size
        self._wanted = (hidden_layers, relation_layer)
        self._to_come, self._answered = deque[NDArray[np.int64]](), 0

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return all batches of an epoch."""
        rng = np.random.default_rng([self._seed, epoch])
        places = length_grouped_batches(self._lengths, self._batch_size, rng)
        self._to_come.extend(found := [self._members[batch] for batch in places])
        return found

    def answers(self, indices: NDArray[np.int64]) -> TeacherBatch:
        """Return the answers to this process's share of the batch that comes next."""
        if not self._answered:
            self._answered = min(_AHEAD, len(self._to_come))
            soon = [own_share(self._to_come.popleft()) for _ in range(self._answered)]
            self._outputs.learn(np.concatenate(soon), *self._wanted)
        self._answered -= 1
        return self._outputs.batch(indices, *self._wanted)


def rounding_matters(
    student: LeanEncoderWithHead,
    plan: QuantizationPlan,
    guide: Selection,
    share: float,
) -> bool:
    """Return whether INT8 adds more than `share` to the student's distance from its teacher.

    Args:
        student: Finished or in training; left as it was.
        plan: How it is to be quantized.
        guide: Texts that the answers are compared on.
        share: See `MatchSettings`.
    """
    as_it_is = guide.evaluate(student).figures["kl"]
    with fake_quantized(student, plan, fixed=True):
        rounded = guide.evaluate(student).figures["kl"]
    matters = rounded > (1 + share) * as_it_is
    _log.info(
        "INT8 rounding: KL %.4f instead of %.4f, %s",
        rounded,
        as_it_is,
        "too much" if matters else "no matter",
    )
    return matters


def _projection(student: LeanEncoderWithHead, teacher: LeanEncoderWithHead, seed: int) -> nn.Module:
    """Return what maps the student's hidden states to the teacher's width; where it is the same
    nothing is needed."""
    widths = student.config.hidden_size, teacher.config.hidden_size
    if widths[0] == widths[1]:
        return nn.Identity()
    with torch.random.fork_rng(devices=[]):  # of other random numbers nothing changes
        torch.manual_seed(seed)
        return nn.Linear(*widths).to(next(student.parameters()).device)


def _freeze_embeddings(model: LeanEncoderWithHead) -> list[torch.nn.Parameter]:
    parameters = [p for p in model.encoder.embeddings.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    return parameters
