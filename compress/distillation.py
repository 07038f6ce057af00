"""Teaches a student to answer as its teacher does: `distill`, and the recovery of `prune`.

The loss of a batch is the weighted sum of soft targets (last layer's answer), hidden states (each
student layer against the teacher layer that the layer map names), MiniLMv2 relations (last layer
against last layer) and, if wanted, the true labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.augmentation import augment, read_vocabulary
from compress.inference import agreement, predict_logits
from compress.losses import hidden_state_loss, label_loss, relation_loss, soft_target_loss
from compress.progress import Progress
from compress.recipe import TrainSettings
from compress.teacher_outputs import TeacherOutputs
from compress.tokenized import TokenizedTexts, collate, length_grouped_batches
from compress.train import Evaluation, FitResult, fit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from compress.encoder.modules import LeanEncoderForSequenceClassification

__all__ = ["Selection", "limited", "match_teacher", "with_augmentation"]


@dataclass(frozen=True)
class Selection:
    """The split that picks the best weights.

    Attributes:
        texts: With labels.
        teacher_logits: (N, C) what the teacher says about them.
    """

    texts: TokenizedTexts
    teacher_logits: NDArray[np.float32]

    @classmethod
    def of(
        cls, teacher: "LeanEncoderForSequenceClassification", texts: TokenizedTexts
    ) -> "Selection":
        """Ask the teacher about `texts`."""
        return cls(texts, predict_logits(teacher, texts))

    def evaluate(self, student: "LeanEncoderForSequenceClassification") -> Evaluation:
        """The student's accuracy, and where that ties its distance to the teacher."""
        if self.texts.labels is None:
            raise ValueError("texts without labels cannot select anything")
        logits = predict_logits(student, self.texts)
        return agreement(logits, self.teacher_logits, self.texts.labels)


def limited(texts: TokenizedTexts, most: int, rng: np.random.Generator) -> TokenizedTexts:
    """`texts`, or a random `most` of them."""
    if len(texts) <= most:
        return texts
    return texts.take(np.sort(rng.permutation(len(texts))[:most]))


def with_augmentation(
    texts: TokenizedTexts,
    tokenizer: "PreTrainedTokenizerBase",
    teacher: "LeanEncoderForSequenceClassification",
    *,
    copies: int,
    max_length: int,
    rng: np.random.Generator,
) -> TokenizedTexts:
    """`texts` followed by `copies` generated texts for each, which have no labels."""
    if copies == 0:
        return texts
    table = teacher.encoder.embeddings.words.weight.detach().float().cpu().numpy()
    vocabulary = read_vocabulary(tokenizer, table, texts)
    return texts.followed_by(augment(texts, vocabulary, copies, rng, max_length))


def match_teacher(
    student: "LeanEncoderForSequenceClassification",
    teacher: "LeanEncoderForSequenceClassification",
    texts: TokenizedTexts,
    settings: TrainSettings,
    layer_map: Sequence[int],
    *,
    selection: Selection | None,
    progress: Progress,
    description: str,
    folder: Path,
    epochs: float | None = None,
    seed: int = 0,
) -> FitResult:
    """Train `student` in place to give the teacher's outputs on `texts`.

    Args:
        student: On the same device as the teacher.
        teacher: Of the same hidden size; not modified.
        texts: Training text, generated text included.
        settings: Weights of the losses, schedule, batch size.
        layer_map: By student layer, the teacher layer whose output it imitates.
        selection: Picks the best weights; None keeps the last ones.
        progress: Told of each step.
        description: What the bar says.
        folder: For the file of teacher outputs.
        epochs: Instead of `settings.epochs`.
        seed: Of the batches' order.

    Raises:
        ValueError: The layer map does not fit the two models.
    """
    depth = len(teacher.config.layers)
    if len(layer_map) != len(student.config.layers) or not all(0 <= t < depth for t in layer_map):
        raise ValueError(
            f"the layer map {tuple(layer_map)} does not fit a student of "
            f"{len(student.config.layers)} layers and a teacher of {depth}"
        )
    epochs = settings.epochs if epochs is None else epochs
    uses_hidden, uses_relations = settings.hidden_weight > 0, settings.relation_weight > 0
    device = next(student.parameters()).device
    pad = student.config.pad_token_id or 0

    def batches(epoch: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng([seed, epoch])
        return length_grouped_batches(texts.lengths, settings.batch_size, rng)

    frozen = _freeze_embeddings(student) if settings.freeze_embeddings else []
    with TeacherOutputs(
        teacher,
        texts,
        hidden_layers=tuple(layer_map) if uses_hidden else (),
        relation_layer=layer_map[-1] if uses_relations else None,
        folder=folder,
        **({} if epochs > 1 else {"limit_bytes": 0}),
    ) as outputs:

        def step_loss(indices: NDArray[np.int64]) -> Tensor:
            target = outputs.batch(indices)
            inputs = collate(texts, indices, pad, device)
            padding = inputs.get("attention_mask")
            own = student(**inputs, output_hidden_states=uses_hidden, output_qkv=uses_relations)
            loss = settings.soft_weight * soft_target_loss(
                own.logits, target.logits, settings.temperature
            )
            if uses_hidden:
                distances = [
                    hidden_state_loss(own.hidden_states[layer + 1], target.hidden[origin], padding)
                    for layer, origin in enumerate(layer_map)
                ]
                loss = loss + settings.hidden_weight * torch.stack(distances).mean()
            if target.qkv is not None:
                relations = relation_loss(own.qkv[-1], target.qkv, padding)
                loss = loss + settings.relation_weight * relations
            if settings.label_weight > 0 and texts.labels is not None:
                labels = torch.from_numpy(texts.labels[indices]).to(device)
                loss = loss + settings.label_weight * label_loss(own.logits, labels)
            return loss

        try:
            return fit(
                student,
                step_loss,
                batches,
                epochs=epochs,
                learning_rate=settings.learning_rate,
                warmup=settings.warmup,
                weight_decay=settings.weight_decay,
                seed=seed,
                progress=progress,
                description=description,
                evaluate=None if selection is None else lambda: selection.evaluate(student),
            )
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)


def _freeze_embeddings(model: "LeanEncoderForSequenceClassification") -> list[torch.nn.Parameter]:
    parameters = [p for p in model.encoder.embeddings.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    return parameters
