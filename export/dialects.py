"""Three ways to spell an encoder layer in ONNX.

`PortableDialect` uses standard operators only: any runtime and converter reads it. It is the float
export and what OpenVINO's files are converted from. `OnnxRuntimeDialect` uses what ONNX Runtime is
fastest with: the attention operator of the newest standard, and fused operators of its own (domain
`com.microsoft`): one for dynamic quantization + INT8 matrix product + bias, or, with ranges known
beforehand, one to quantize and one to multiply. At the short lengths of real requests the number of
nodes, not of multiplications, is what a small encoder pays for. `StandardDialect` is the same
model, INT8 weights included, for every other runtime: operators that have been standard for years,
and padding on any side.
"""

from dataclasses import replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.folds import Folds
from export.graph import CONTRIB, GraphBuilder
from export.quantization import QuantizationPlan, activation_scale, quantize_columns
from export.weights import LeanWeights, Linear
from runtimes.base import MASKED
from runtimes.errors import ModelError

__all__ = ["Dialect", "OnnxRuntimeDialect", "PortableDialect", "StandardDialect"]

_INT64 = TensorProto.INT64


class Dialect(Protocol):
    """How the parts of an encoder are spelled. Values are names in the graph.

    Attributes:
        graph: Where the nodes go.
        first_is_first: Whether a text's first token is known to stand first in its row.
    """

    graph: GraphBuilder
    first_is_first: bool

    def tokens(self, ids: str) -> str:
        """What the encoder reads of an input (B, T) of whole numbers."""
        ...

    def positions(self, table: NDArray[np.float32]) -> str:
        """Rows of the (P, E) table for the tokens: (1 or B, T, E)."""
        ...

    def first_token(self, x: str) -> str:
        """The first token's row of (B, T, H): (B, 1, H)."""
        ...

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
    first_is_first = True

    def __init__(self, weights: LeanWeights) -> None:
        self.graph = GraphBuilder(self.opset)
        self._weights = weights
        self._epsilon = float(weights.config.layer_norm_eps)

    def tokens(self, ids: str) -> str:
        """All of it."""
        return ids

    def positions(self, table: NDArray[np.float32]) -> str:
        """As many rows as there are tokens."""
        length = self.graph.node("Shape", "input_ids", start=1, end=2)
        rows = self.graph.constant("positions", table[None])
        return self.graph.node("Slice", rows, self.graph.shape(0), length, self.graph.shape(1))

    def first_token(self, x: str) -> str:
        """Token 0."""
        graph = self.graph
        return graph.node("Slice", x, graph.shape(0), graph.shape(1), graph.shape(1))

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


class StandardDialect(OnnxRuntimeDialect):
    """Standard operators of opset 18, INT8 where the plan says so, over the same weights.

    Rows may be padded on the right, on the left or not at all: positions and the first token are
    those of the mask. What stands in for padding is the first token again, whose row of every
    matrix it repeats: nothing there is outside the range of INT8 that the text has without it.
    """

    opset = 18  # of 2022; a later one would buy shorter graphs only
    first_is_first = False

    def __init__(
        self, weights: LeanWeights, plan: QuantizationPlan | None = None, folds: Folds | None = None
    ) -> None:
        super().__init__(weights, plan, replace(folds or Folds(), attention=False))
        self._quantized: dict[str, list[str]] = {}

    def tokens(self, ids: str) -> str:
        """Each token's, and the first one's in the place of padding."""
        graph = self.graph
        first = graph.node("Mul", ids, self._first)
        first = graph.node("ReduceSum", first, graph.shape(1), keepdims=1)  # (B, 1)
        return graph.node("Where", self._is_token, ids, first)

    def positions(self, table: NDArray[np.float32]) -> str:
        """The row of each token's place among those that are no padding."""
        graph = self.graph
        before = graph.node("Sub", self._counted, graph.number(1))
        places = graph.node("Where", self._is_token, before, graph.number(0))
        return graph.node("Gather", graph.constant("positions", table), places, axis=0)

    def first_token(self, x: str) -> str:
        """A product with 1 for the first token that is no padding, and 0 for all others."""
        chosen = self.graph.node("Cast", self._first, to=TensorProto.FLOAT)
        chosen = self.graph.node("Unsqueeze", chosen, self.graph.shape(1))
        return self.graph.node("MatMul", chosen, x)

    def activation(self, x: str, name: str) -> str:
        """GELU in the form that runtimes find and fuse."""
        graph = self.graph
        half = graph.constant("half", np.array(0.5, np.float32))
        one = graph.constant("one", np.array(1.0, np.float32))
        if name in {"gelu", "gelu_python"}:
            root = graph.constant("root_of_two", np.array(np.sqrt(2.0), np.float32))
            share = graph.node("Erf", graph.node("Div", x, root))
        elif name in {"gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh"}:
            cubic = graph.constant("cubic", np.array(0.044715, np.float32))
            scale = graph.constant("tanh_scale", np.array(np.sqrt(2.0 / np.pi), np.float32))
            cube = graph.node("Mul", graph.node("Mul", x, x), x)
            inner = graph.node("Add", x, graph.node("Mul", cube, cubic))
            share = graph.node("Tanh", graph.node("Mul", inner, scale))
        else:
            return super().activation(x, name)
        return graph.node("Mul", graph.node("Mul", x, graph.node("Add", share, one)), half)

    def _int8(self, plan: QuantizationPlan, x: str, layer: Linear, bias: str) -> str:
        graph = self.graph
        values, scales = quantize_columns(layer.weight, plan.weight_levels)
        weight = graph.constant(f"{layer.name}.weight_int8", values)
        scale = graph.constant(f"{layer.name}.scale", scales)
        if plan.schemes["onnxruntime"] == "dynamic":
            if x not in self._quantized:
                self._quantized[x] = graph.nodes("DynamicQuantizeLinear", [x], 3)
            x, x_scale, x_zero = self._quantized[x]
        else:
            input_scale, zero_point = activation_scale(*plan.static_range(layer.name))
            x_scale = graph.constant(f"{layer.name}.input_scale", np.array(input_scale))
            x_zero = graph.constant(f"{layer.name}.input_zero_point", np.array(zero_point))
            x = graph.node("QuantizeLinear", x, x_scale, x_zero)
        product = graph.node("MatMulInteger", x, weight, x_zero)
        product = graph.node("Cast", product, to=TensorProto.FLOAT)
        return graph.node(
            "Add", graph.node("Mul", product, graph.node("Mul", x_scale, scale)), bias
        )

    @cached_property
    def _counted(self) -> str:
        """(B, T): how many tokens there are up to each, itself included."""
        return self.graph.node("CumSum", "attention_mask", self.graph.number(1))

    @cached_property
    def _first(self) -> str:
        """(B, T): 1 for the first token that is no padding, 0 for all others."""
        first = self.graph.node("Equal", self._counted, self.graph.number(1))
        return self.graph.node("Mul", self.graph.node("Cast", first, to=_INT64), "attention_mask")

    @cached_property
    def _is_token(self) -> str:
        """(B, T): whether there is no padding."""
        return self.graph.node("Cast", "attention_mask", to=TensorProto.BOOL)


def _given(*inputs: str) -> list[str]:
    """Inputs of a node without the optional ones left out at its end."""
    given = list(inputs)
    while given and not given[-1]:
        given.pop()
    return given
