"""From a lean encoder to an ONNX model, built node by node rather than traced.

Tracing gives whatever graph the tracer happens to emit, and optimizers must find the encoder in it
again. Here the encoder is known, so each part is written once in the form its runtime is fastest
with; building takes milliseconds.
"""

from dataclasses import replace
from typing import Any

import onnx
from onnx import TensorProto

from export.dialects import Dialect, OnnxRuntimeDialect, PortableDialect, StandardDialect
from export.distances import Distances
from export.folds import Folds
from export.heads import HeadGraph
from export.quantization import QuantizationPlan, quantize_rows
from export.weights import LeanWeights

__all__ = ["build_onnx", "build_portable_onnx"]


def build_onnx(
    module: Any,
    plan: QuantizationPlan | None = None,
    *,
    padded: bool = True,
    standard: bool = False,
    folds: Folds | None = None,
) -> onnx.ModelProto:
    """Build the model for ONNX Runtime, with its fused operators.

    Args:
        module: `LeanEncoderWithHead`.
        plan: How to quantize; None, or a plan whose scheme for ONNX Runtime is float, keeps
            everything in float32.
        padded: Whether rows of a batch may be padded; False leaves the mask out, for rows of equal
            length. The constants are the same, in the same order.
        folds: What is folded; None is everything.

    Returns:
        Inputs `input_ids`, `attention_mask` and, where the encoder has token types,
        `token_type_ids`, each int64 (batch, sequence), padded on the right. With the mask, outputs
        are what stock exports of the task call them; without, they are `logits`, (batch, classes)
        or (batch, sequence, classes).

    Raises:
        ModelError: The plan is static and has no range for a layer of this model.
    """
    weights = LeanWeights(module)
    if plan is not None and plan.is_float("onnxruntime"):
        plan = None
    folds = folds or Folds()
    if plan is None or plan.embeddings != "int8":
        folds = replace(folds, int8_words=False)
    spelled = StandardDialect if standard else OnnxRuntimeDialect
    return _build(module, weights, spelled(weights, plan, folds), folds, padded=padded)


def build_portable_onnx(module: Any) -> onnx.ModelProto:
    """Build the float model in standard operators (opset 20); otherwise as `build_onnx`."""
    weights = LeanWeights(module)
    return _build(module, weights, PortableDialect(weights), Folds(int8_words=False), padded=True)


def _build(
    module: Any, weights: LeanWeights, dialect: Dialect, folds: Folds, *, padded: bool
) -> onnx.ModelProto:
    config, graph = weights.config, dialect.graph
    inputs = ["input_ids", "attention_mask"] if padded else ["input_ids"]
    if config.type_vocab_size:
        inputs.append("token_type_ids")
    x = _embeddings(weights, dialect, int8_words=folds.int8_words)
    padding = dialect.padding("attention_mask") if padded else None
    distances = Distances(weights, graph)
    last = len(config.layers) - 1
    first_only = folds.first_token and bool(config.first_token_last_layer)
    # Of distances, those to the first token are known where it is known which one that is.
    narrow = first_only and (dialect.first_is_first or not config.max_relative_distance)
    for index in range(len(config.layers)):
        x = _layer(
            weights, dialect, folds, index, x, padding, distances,
            apart=first_only and index == last, narrow=narrow and index == last,
        )  # fmt: skip
    mask = "attention_mask" if padded else None
    head = HeadGraph(dialect, weights, x, mask, narrow=narrow)
    if padded:
        return graph.model(inputs, module.named_nodes(head))
    return graph.model(inputs, {"logits": (module.nodes(head), head.shape)})


def _embeddings(weights: LeanWeights, dialect: Dialect, *, int8_words: bool) -> str:
    """Add word, position and type embeddings, LayerNorm and projection: (B, T, H)."""
    graph, ids = dialect.graph, dialect.tokens("input_ids")
    table = weights["embeddings.words.weight"]
    if int8_words:
        # A row of bytes and its scale, instead of a float table that is half of the whole model.
        quantized, scale = quantize_rows(table)
        rows = graph.node("Gather", graph.constant("words_int8", quantized), ids, axis=0)
        scales = graph.node("Gather", graph.constant("words_scale", scale), ids, axis=0)
        x = graph.node("Mul", graph.node("Cast", rows, to=TensorProto.FLOAT), scales)
    else:
        x = graph.node("Gather", graph.constant("words", table), ids, axis=0)
    positions = dialect.positions(weights["embeddings.positions.weight"])
    if weights.config.type_vocab_size:
        types = graph.constant("types", weights["embeddings.types.weight"])
        kinds = dialect.tokens("token_type_ids")
        x = graph.node("Add", x, graph.node("Gather", types, kinds, axis=0))
    x = dialect.layer_norm(graph.node("Add", x, positions), "embeddings.norm")
    if weights.config.embedding_size != weights.config.hidden_size:
        x = dialect.linear(x, weights.linear("embeddings.projection"))
    return x


def _layer(
    weights: LeanWeights,
    dialect: Dialect,
    folds: Folds,
    index: int,
    x: str,
    padding: str | None,
    distances: Distances,
    *,
    apart: bool,
    narrow: bool,
) -> str:
    """Add one encoder layer: (B, T, H) -> (B, T, H), or (B, 1, H) with `narrow`.

    A classifier reads one token, so in the last layer only that token's query and feed-forward
    network are computed; queries then have a product of their own, which is `apart`.
    """
    graph, name = dialect.graph, f"layers.{index}"
    sizes = weights.config.layers[index]
    width = sizes["heads"] * sizes["head_size"]
    residual = dialect.first_token(x) if narrow else x
    context = None
    if width:
        if apart:
            q = dialect.linear(residual, weights.rows(f"{name}.attention.qkv", 0, width))
            kv = dialect.linear(x, weights.rows(f"{name}.attention.qkv", width, 3 * width))
            k, v = graph.nodes("Split", [kv], 2, axis=-1, num_outputs=2)
        elif not folds.fused_qkv:
            q, k, v = (
                dialect.linear(
                    x, weights.rows(f"{name}.attention.qkv", part * width, (part + 1) * width)
                )
                for part in range(3)
            )
        else:
            qkv = dialect.linear(x, weights.linear(f"{name}.attention.qkv"))
            q, k, v = graph.nodes("Split", [qkv], 3, axis=-1, num_outputs=3)
        far = distances.added(index, q, k, first_only=narrow)
        context = dialect.attention(q, k, v, padding, far, sizes["heads"], sizes["head_size"])
    x = dialect.add_and_norm(
        context, f"{name}.attention.output", residual, f"{name}.attention_norm"
    )
    neurons = None
    if sizes["intermediate_size"]:
        neurons = dialect.linear(x, weights.linear(f"{name}.feed_forward.up"))
        neurons = dialect.activation(neurons, weights.config.hidden_act)
    return dialect.add_and_norm(
        neurons, f"{name}.feed_forward.down", x, f"{name}.feed_forward_norm"
    )
