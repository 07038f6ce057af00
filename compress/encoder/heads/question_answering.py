"""Question answering: every token says whether an answer starts and ends there."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from compress.encoder.answers import over_tokens
from compress.encoder.heads.token_classification import LeanEncoderForTokenClassification
from compress.encoder.modules import LeanEncoderWithHead

if TYPE_CHECKING:
    from export.heads import HeadGraph

__all__ = ["MODEL", "LeanEncoderForQuestionAnswering"]


class LeanEncoderForQuestionAnswering(LeanEncoderForTokenClassification):
    """The lean encoder with two numbers for each of its tokens: start and end of an answer."""

    @classmethod
    def parts(cls, original: Any, paths: Any) -> dict[str, Any]:  # noqa: ARG003
        """Return the output matrix."""
        return {"output": original.qa_outputs, "head": "span"}

    @classmethod
    def original_logits(cls, original: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the original's starts and ends, (B, T, 2)."""
        if isinstance(original, LeanEncoderWithHead):
            return super().original_logits(original, batch)
        output = original(**batch)
        return torch.stack([output.start_logits, output.end_logits], dim=-1)

    @classmethod
    def answers(cls, logits: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return (2 B, T): of each text the starts and then the ends, over its tokens."""
        return over_tokens(logits, None if attention_mask is None else attention_mask.bool())

    @classmethod
    def named_nodes(cls, graph: "HeadGraph") -> dict[str, tuple[str, tuple[str | int, ...]]]:
        """Add the head to an ONNX graph; starts and ends are outputs of their own, (B, T)."""
        sides = graph.split(cls.nodes(graph), int(graph.weights.config.outputs))
        return dict(zip(("start_logits", "end_logits"), sides, strict=True))

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), labels.flatten())


MODEL = LeanEncoderForQuestionAnswering
