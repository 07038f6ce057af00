"""Sentence embedding: one vector for the text."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.task import pooling_of
from runtimes.pooling import pooled

if TYPE_CHECKING:
    from export.heads import HeadGraph

__all__ = ["MODEL", "LeanEncoderForSentenceEmbedding", "PoolingHead"]


class PoolingHead(nn.Module):
    """One vector for the text from those of its tokens; without parameters."""

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__()
        self.mode, self.normalized = config.pooling, config.normalized

    def forward(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Map (B, T, H), and (B, T) with 0 for padding or None, to (B, H)."""
        if self.mode == "cls":
            vectors = hidden[:, 0]
        elif attention_mask is None:
            vectors = hidden.mean(dim=1)
        else:
            weights = attention_mask[..., None].to(hidden.dtype)
            vectors = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return F.normalize(vectors, dim=-1) if self.normalized else vectors


class LeanEncoderForSentenceEmbedding(LeanEncoderWithHead):
    """The lean encoder with one vector for the text, (B, H)."""

    head = PoolingHead

    @classmethod
    def parts(cls, original: Any, paths: Any) -> dict[str, Any]:  # noqa: ARG003
        """Return how vectors are pooled: there are no weights."""
        pooling = pooling_of(original.config)
        assert pooling is not None  # by which the task is known
        return {"head": "embedding", "pooling": pooling.mode, "normalized": pooling.normalized}

    @classmethod
    def original_logits(cls, original: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the original's vectors, pooled as its folder says."""
        if isinstance(original, LeanEncoderWithHead):
            return super().original_logits(original, batch)
        pooling, mask = pooling_of(original.config), batch.get("attention_mask")
        assert pooling is not None  # as in `parts`
        vectors = original(**batch).last_hidden_state.numpy()
        return torch.from_numpy(pooled(vectors, None if mask is None else mask.numpy(), pooling))

    @classmethod
    def nodes(cls, graph: "HeadGraph") -> str:
        """Add the head to an ONNX graph."""
        return graph.pooled()

    @classmethod
    def named_nodes(cls, graph: "HeadGraph") -> dict[str, tuple[str, tuple[str | int, ...]]]:
        """Add the head to an ONNX graph; the tokens' vectors, (B, T, H), are an output, too.

        Where the last layer computes the first token alone, for CLS pooling, they are (B, 1, H).
        """
        config = graph.weights.config
        tokens = 1 if config.first_token_last_layer else "sequence"
        return {
            "last_hidden_state": (graph.x, ("batch", tokens, int(config.hidden_size))),
            "sentence_embedding": (cls.nodes(graph), graph.shape),
        }

    def read_out(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        vectors: Tensor = self.classifier(hidden, attention_mask)
        return vectors


MODEL = LeanEncoderForSentenceEmbedding
