"""What a task's head adds to an ONNX graph, in words that `compress.encoder.heads` uses."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.dialects import Dialect
from export.weights import LeanWeights

__all__ = ["HeadGraph"]


@dataclass(frozen=True)
class HeadGraph:
    """The graph of an encoder, to which a head is added. Values are names in the graph.

    Attributes:
        dialect: How nodes are spelled.
        weights: The model's; layers are named as in its modules (`classifier.dense`).
        x: (B, T, H), or (B, 1, H), of the last layer.
        mask: The attention mask (B, T); None where nothing is padded.
        narrow: Whether x is the first token's.
    """

    dialect: Dialect
    weights: LeanWeights
    x: str
    mask: str | None
    narrow: bool = False

    @property
    def shape(self) -> tuple[str | int, ...]:
        """The logits': (B, C), or (B, T, C) of a head that answers for every token."""
        config = self.weights.config
        each = ("batch", "sequence") if config.reads_tokens else ("batch",)
        return (*each, int(config.outputs))

    def first_token(self) -> str:
        """Add the first token's row of x: (B, H)."""
        graph, x = self.dialect.graph, self.x
        if not (self.narrow or self.dialect.first_is_first):
            x = self.dialect.first_token(x)
        return graph.node("Gather", x, graph.constant("first", np.array(0, np.int64)), axis=1)

    def linear(self, x: str, layer: str) -> str:
        """Add a linear layer, in INT8 where the plan says so: (..., K) -> (..., N)."""
        return self.dialect.linear(x, self.weights.linear(layer))

    def activation(self, x: str) -> str:
        """Add the activation between the head's two matrices, where it has one."""
        name = self.weights.config.classifier_activation
        return x if name is None else self.dialect.activation(x, name)

    def norm(self, x: str, layer: str) -> str:
        """Add a LayerNorm over the last axis."""
        return self.dialect.layer_norm(x, layer)

    def affine(self, x: str, layer: str) -> str:
        """Add a small float layer on (B, T, K): a column a class, not worth quantizing."""
        linear, graph = self.weights.linear(layer), self.dialect.graph
        weight = graph.constant(f"{layer}.weight", linear.weight)
        bias = graph.constant(f"{layer}.bias", linear.bias)
        return graph.node("Add", graph.node("MatMul", x, weight), bias)

    def split(self, x: str, parts: int) -> list[tuple[str, tuple[str | int, ...]]]:
        """Add (B, T, C) as C values of (B, T); return each with its shape."""
        graph = self.dialect.graph
        sides = graph.nodes("Split", [x], parts, axis=-1, num_outputs=parts)
        return [
            (graph.node("Squeeze", side, graph.shape(-1)), ("batch", "sequence")) for side in sides
        ]

    def gemm(self, x: str, layer: str) -> str:
        """Add a small float layer on (B, K): a column a class, not worth quantizing."""
        graph = self.dialect.graph
        weight = graph.constant(f"{layer}.weight", self.weights[f"{layer}.weight"])
        bias = graph.constant(f"{layer}.bias", self.weights[f"{layer}.bias"])
        return graph.node("Gemm", x, weight, bias, transB=1)

    def pooled(self) -> str:
        """Add the text's vector, pooled as the config says: (B, T, H) -> (B, H)."""
        graph, config = self.dialect.graph, self.weights.config
        if config.pooling == "cls":
            vectors = self.first_token()
        elif self.mask is None:
            vectors = graph.node("ReduceMean", self.x, graph.shape(1), keepdims=0)
        else:
            weights = graph.node("Cast", self.mask, to=TensorProto.FLOAT)
            weights = graph.node("Unsqueeze", weights, graph.shape(2))  # (B, T, 1)
            product = graph.node("Mul", self.x, weights)
            summed = graph.node("ReduceSum", product, graph.shape(1), keepdims=0)
            count = graph.node("ReduceSum", weights, graph.shape(1), keepdims=0)
            vectors = graph.node("Div", summed, count)
        if config.normalized:
            length = graph.node("ReduceL2", vectors, graph.shape(1), keepdims=1)
            vectors = graph.node("Div", vectors, length)
        return vectors
