"""Fill-mask: a number for each entry of the vocabulary, for every token."""

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers.activations import ACT2FN

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

if TYPE_CHECKING:
    from export.heads import HeadGraph

__all__ = ["MODEL", "LeanEncoderForMaskedLM", "MaskedWordHead"]


class MaskedWordHead(nn.Module):
    """Dense, activation, LayerNorm and a decoder to the vocabulary, on every token.

    The decoder is as wide as the word embeddings, whose weights many families give it.
    """

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)
        name = config.classifier_activation
        self.activation = nn.Identity() if name is None else ACT2FN[name]
        self.norm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.output = nn.Linear(config.embedding_size, config.vocab_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, T, H) to (B, T, V)."""
        return self.output(self.norm(self.activation(self.dense(hidden))))


class LeanEncoderForMaskedLM(LeanEncoderWithHead):
    """The lean encoder with a number for each entry of the vocabulary, for each of its tokens."""

    head = MaskedWordHead
    quantized_layers = ("dense", "output")

    @classmethod
    def parts(cls, original: Any, paths: HeadPaths) -> dict[str, Any]:
        """Return dense layer, LayerNorm, decoder and activation, from where the family has them."""
        return {
            "dense": attrgetter(paths.dense)(original),
            "norm": attrgetter(paths.norm)(original),
            "output": attrgetter(paths.output)(original),
            "head": "mask",
            "classifier_activation": getattr(original.config, paths.activation, paths.activation),
        }

    @classmethod
    def nodes(cls, graph: "HeadGraph") -> str:
        """Add the head to an ONNX graph."""
        x = graph.activation(graph.linear(graph.x, "classifier.dense"))
        return graph.linear(graph.norm(x, "classifier.norm"), "classifier.output")


MODEL = LeanEncoderForMaskedLM
