"""Text classification: a classifier on the first token."""

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers.activations import ACT2FN

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

if TYPE_CHECKING:
    from export.heads import HeadGraph

__all__ = ["MODEL", "ClassificationHead", "LeanEncoderForSequenceClassification"]


class ClassificationHead(nn.Module):
    """Dense, activation, dropout and output matrix on the first token."""

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        name = config.classifier_activation
        self.activation = nn.Identity() if name is None else ACT2FN[name]
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.output = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T, H) to (B, C)."""
        return self.output(self.dropout(self.activation(self.dense(hidden[:, 0]))))


class LeanEncoderForSequenceClassification(LeanEncoderWithHead):
    """The lean encoder with a classifier on its first token."""

    head = ClassificationHead

    @classmethod
    def parts(cls, original: Any, paths: HeadPaths) -> dict[str, Any]:
        """Return both matrices: the classifier's own, or the pooler's and the classifier."""
        classifier = original.classifier
        if isinstance(classifier, nn.Linear):
            return {"dense": attrgetter(paths.pooler)(original), "output": classifier}
        return {"dense": classifier.dense, "output": classifier.out_proj}

    @classmethod
    def nodes(cls, graph: "HeadGraph") -> str:
        """Add the head to an ONNX graph."""
        hidden = graph.linear(graph.first_token(), "classifier.dense")
        return graph.gemm(graph.activation(hidden), "classifier.output")


MODEL = LeanEncoderForSequenceClassification
