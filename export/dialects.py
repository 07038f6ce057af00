"""Two ways to spell an encoder layer in ONNX.

`PortableDialect` uses standard operators only: any runtime and converter reads it. It is the float
export and what OpenVINO's files are converted from. `OnnxRuntimeDialect` uses what ONNX Runtime is
fastest with: the attention operator of the newest standard, and fused operators of its own (domain
`com.microsoft`): one for dynamic quantization + INT8 matrix product + bias, or, with ranges known
beforehand, one to quantize and one to multiply. At the short lengths of real requests the number of
nodes, not of multiplications, is what a small encoder pays for.
"""

from typing import Protocol

import numpy as np
from onnx import TensorProto

from export.folds import Folds
from export.graph import CONTRIB, GraphBuilder
from export.quantization import QuantizationPlan, activation_scale, quantize_columns
from export.weights import LeanWeights, Linear
from runtimes.base import MASKED
from runtimes.errors import ModelError

__all__ = ["Dialect", "OnnxRuntimeDialect", "PortableDialect"]


class Dialect(Protocol):
    """How the parts of an encoder layer are spelled. Values are names in the graph."""

    graph: GraphBuilder

    def padding(self, attention_mask: str) -> str:
        """The mask in the form that `attention` takes."""
        ...

    def linear(self, x: str, layer: Linear) -> str:
        """(B, T, K) -> (B, T, N), with the bias."""
        ...

    def layer_norm(self, x: str, norm: str) -> str:
        """LayerNorm over the last axis."""
        ...

    def add_and_norm(self, x: str | None, projection: str, residual: str, norm: str) -> str:
        """LayerNorm of `residual` + the linear layer `projection` of x.

        Where all inputs of the projection were pruned, x is None and its bias is left.
        """
        ...

    def attention(
        self,
        q: str,
        k: str,
        v: str,
        padding: str | None,
        distances: str | None,
        heads: int,
        head_size: int,
    ) -> str:
        """Attention over (B, T, heads * head_size) inputs; q is already scaled.

        `padding` is what the method of that name gave, or None where nothing is padded.
        `distances`, (1 or B, heads, T or 1, T), is added to the scores.
        """
        ...

    def activation(self, x: str, name: str) -> str:
        """The feed-forward activation, by its name in transformers."""
        ...


class PortableDialect:
    """Standard ONNX operators, float."""

    opset = 20  # the first with Gelu

    def __init__(self, weights: LeanWeights) -> None:
        self.graph = GraphBuilder(self.opset)
        self._weights = weights
        self._epsilon = float(weights.config.layer_norm_eps)

    def padding(self, attention_mask: str) -> str:
        """(B, 1, 1, T), 0 for tokens and very negative for padding."""
        mask = self.graph.node("Cast", attention_mask, to=TensorProto.FLOAT)
        one = self.graph.constant("one", np.array(1.0, np.float32))
        score = self.graph.constant("masked_score", np.array(-MASKED, np.float32))
        mask = self.graph.node("Mul", self.graph.node("Sub", mask, one), score)
        return self.graph.node("Unsqueeze", mask, self.graph.shape(1, 2))

    def linear(self, x: str, layer: Linear) -> str:
        """(B, T, K) -> (B, T, N) in float."""
        weight = self.graph.constant(f"{layer.name}.weight", layer.weight)
        bias = self.graph.constant(f"{layer.name}.bias", layer.bias)
        return self.graph.node("Add", self.graph.node("MatMul", x, weight), bias)

    def add_and_norm(self, x: str | None, projection: str, residual: str, norm: str) -> str:
        """LayerNorm of the sum."""
        if x is None:
            added = self.graph.constant(f"{projection}.bias", self._weights[f"{projection}.bias"])
        else:
            added = self.linear(x, self._weights.linear(projection))
        return self.layer_norm(self.graph.node("Add", residual, added), norm)

    def layer_norm(self, x: str, norm: str) -> str:
        """LayerNorm over the last axis."""
        return self.graph.node(
            "LayerNormalization", x, *self._norm(norm), axis=-1, epsilon=self._epsilon
        )

    def attention(
        self,
        q: str,
        k: str,
        v: str,
        padding: str | None,
        distances: str | None,
        heads: int,
        head_size: int,
    ) -> str:
        """softmax(q k^T + distances + padding) v, spelled out."""
        split = self.graph.shape(0, 0, heads, head_size)

        def heads_of(x: str, order: list[int]) -> str:
            return self.graph.node("Transpose", self.graph.node("Reshape", x, split), perm=order)

        scores = self.graph.node("MatMul", heads_of(q, [0, 2, 1, 3]), heads_of(k, [0, 2, 3, 1]))
        for added in (distances, padding):
            if added is not None:
                scores = self.graph.node("Add", scores, added)
        weights = self.graph.node("Softmax", scores, axis=-1)
        context = self.graph.node("MatMul", weights, heads_of(v, [0, 2, 1, 3]))
        context = self.graph.node("Transpose", context, perm=[0, 2, 1, 3])
        return self.graph.node("Reshape", context, self.graph.shape(0, 0, heads * head_size))

    def activation(self, x: str, name: str) -> str:
        """GELU (exact or tanh), ReLU, SiLU or tanh."""
        match name:
            case "gelu" | "gelu_python":
                return self.graph.node("Gelu", x)
            case "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_python_tanh":
                return self.graph.node("Gelu", x, approximate="tanh")
            case "relu":
                return self.graph.node("Relu", x)
            case "silu" | "swish":
                return self.graph.node("Mul", x, self.graph.node("Sigmoid", x))
            case "tanh":
                return self.graph.node("Tanh", x)
        raise ModelError(f"the activation {name!r} has no ONNX form in this version")

    def _norm(self, name: str) -> tuple[str, str]:
        return (
            self.graph.constant(f"{name}.weight", self._weights[f"{name}.weight"]),
            self.graph.constant(f"{name}.bias", self._weights[f"{name}.bias"]),
        )


class OnnxRuntimeDialect(PortableDialect):
    """ONNX Runtime's fastest operators; INT8 matrix products where the plan says so.

    Args:
        weights: The encoder.
        plan: How to quantize; None exports float.
        folds: What is folded; None is everything.
    """

    opset = 24  # the first whose Attention takes the rows' lengths

    def __init__(
        self,
        weights: LeanWeights,
        plan: QuantizationPlan | None = None,
        folds: Folds | None = None,
    ) -> None:
        super().__init__(weights)
        self._folds = folds or Folds()
        self._plan = None if plan is None or plan.is_float("onnxruntime") else plan

    def padding(self, attention_mask: str) -> str:
        """(B,) the rows' lengths: padding is on the right."""
        if not self._folds.attention:
            return super().padding(attention_mask)
        return self.graph.node("ReduceSum", attention_mask, self.graph.shape(1), keepdims=0)

    def linear(self, x: str, layer: Linear) -> str:
        """INT8: activations u8 with one scale, weights s8 with one a column."""
        plan = self._int8_plan(layer)
        if plan is None:
            return super().linear(x, layer)
        bias = self.graph.constant(f"{layer.name}.bias", layer.bias)
        return self._int8(plan, x, layer, bias)

    def add_and_norm(self, x: str | None, projection: str, residual: str, norm: str) -> str:
        """Return the sum as the difference to the negated projection.

        ONNX Runtime would fuse a sum with the LayerNorm after it into SkipLayerNormalization, whose
        plain loops take 60 us for 24 tokens of 384 where subtraction and LayerNorm take 20.
        """
        if x is None or not self._folds.negated_projections:
            return super().add_and_norm(x, projection, residual, norm)
        opposite = self.linear(x, self._weights.linear(projection).negated())
        return self.layer_norm(self.graph.node("Sub", residual, opposite), norm)

    def attention(
        self,
        q: str,
        k: str,
        v: str,
        padding: str | None,
        distances: str | None,
        heads: int,
        head_size: int,
    ) -> str:
        """One node, which reads no further than a row's length.

        ONNX Runtime's own MultiHeadAttention takes 1.6 to 2.9 times as long (docs/log.md).
        """
        if not self._folds.attention:
            return super().attention(q, k, v, padding, distances, heads, head_size)
        return self.graph.node(
            "Attention",
            *_given(q, k, v, distances or "", "", "", padding or ""),
            q_num_heads=heads,
            kv_num_heads=heads,
            scale=1.0,
        )

    def activation(self, x: str, name: str) -> str:
        """ONNX Runtime's own exact GELU is vectorised; the rest as in the portable dialect."""
        if name in {"gelu", "gelu_python"}:
            return self.graph.node("Gelu", x, domain=CONTRIB)
        return super().activation(x, name)

    def _int8_plan(self, layer: Linear) -> QuantizationPlan | None:
        """How to quantize the layer; None leaves it in float."""
        if self._plan is None or self._plan.keeps_in_float(layer.name):
            return None
        if layer.name == "classifier.dense" and not self._folds.int8_classifier:
            return None
        return self._plan

    def _int8(self, plan: QuantizationPlan, x: str, layer: Linear, bias: str) -> str:
        values, scales = quantize_columns(layer.weight, plan.weight_levels)
        weight = self.graph.constant(f"{layer.name}.weight_int8", values)
        scale = self.graph.constant(f"{layer.name}.scale", scales)
        if plan.schemes["onnxruntime"] == "dynamic":
            return self.graph.node(
                "DynamicQuantizeMatMul", *_given(x, weight, scale, "", bias), domain=CONTRIB
            )
        # No two products read the same tensor: in a first-token layer, queries read a slice.
        input_scale, zero_point = activation_scale(*plan.static_range(layer.name))
        x_scale = self.graph.constant(f"{layer.name}.input_scale", np.array(input_scale))
        x_zero = self.graph.constant(f"{layer.name}.input_zero_point", np.array(zero_point))
        x = self.graph.node("QuantizeLinear", x, x_scale, x_zero)
        inputs = _given(x, weight, x_scale, scale, x_zero, "", bias)
        return self.graph.node("MatMulIntegerToFloat", *inputs, domain=CONTRIB)


def _given(*inputs: str) -> list[str]:
    """Inputs of a node without the optional ones left out at its end."""
    given = list(inputs)
    while given and not given[-1]:
        given.pop()
    return given
