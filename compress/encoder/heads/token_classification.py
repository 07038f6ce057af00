"""Token classification: a classifier on every token."""

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import LeanEncoderWithHead

if TYPE_CHECKING:
    from export.heads import HeadGraph

__all__ = ["MODEL", "LeanEncoderForTokenClassification", "TokenHead"]


class TokenHead(nn.Module):
    """Dropout and output matrix on every token."""

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.output = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T, H) to (B, T, C)."""
        return self.output(self.dropout(hidden))


class LeanEncoderForTokenClassification(LeanEncoderWithHead):
    """The lean encoder with a classifier on each of its tokens."""

    head = TokenHead

    @classmethod
    def parts(cls, original: Any, paths: Any) -> dict[str, Any]:  # noqa: ARG003
        """Return the output matrix."""
        return {"output": original.classifier, "head": "token"}

    @classmethod
    def nodes(cls, graph: "HeadGraph") -> str:
        """Add the head to an ONNX graph."""
        return graph.affine(graph.x, "classifier.output")


MODEL = LeanEncoderForTokenClassification
