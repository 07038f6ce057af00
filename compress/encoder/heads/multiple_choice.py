"""Multiple choice: a score for a prompt and one of its choices."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.modules import LeanOutput

__all__ = ["MODEL", "LeanEncoderForMultipleChoice"]


class LeanEncoderForMultipleChoice(LeanEncoderForSequenceClassification):
    """The lean encoder with a score on its first token: how well a choice fits its prompt."""

    @classmethod
    def settings(cls, original: Any) -> dict[str, Any]:  # noqa: ARG003
        """Return one label, a score, whatever the original's config says."""
        return {
            "problem_type": "regression",
            "head": "choice",
            "id2label": {0: "score"},
            "label2id": {"score": 0},
        }

    @classmethod
    def original_logits(cls, original: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the original's scores, one choice a question."""
        return super().original_logits(original, {k: rows[:, None] for k, rows in batch.items()})

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        return_dict: bool = True,
        **options: Any,
    ) -> LeanOutput | tuple[Any, ...]:
        """Score pairs (B, T), giving (B, 1); or, as Transformers has it, all K choices of each
        question (B, K, T), giving (B, K), with `labels` (B,) the right ones."""
        inputs: list[Any] = [input_ids, attention_mask, token_type_ids]
        choices = input_ids.shape[1] if input_ids.ndim == 3 else 1
        if input_ids.ndim == 3:
            inputs = [None if rows is None else rows.flatten(0, 1) for rows in inputs]
        output: Any = super().forward(*inputs, **options)
        output.logits = output.logits.view(-1, choices)
        if labels is not None:
            output.loss = F.cross_entropy(output.logits, labels)
        return output if return_dict else output.to_tuple()


MODEL = LeanEncoderForMultipleChoice
