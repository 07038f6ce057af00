"""ONNX models of single matrix products, by which processors and runtimes are judged."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["EXACT", "PRODUCT", "exact_model", "product_models"]

PRODUCT = (256, 1024, 2048)
"""Rows, inner size and columns of the products that peaks are measured on."""

_PERIOD = 16

EXACT = (16, 64, 32)
"""Rows, inner size and columns of the product of `exact_model`."""


def product_models() -> dict[str, bytes]:
    """Return, by precision, a model of one product, `x` to `y`: in float32, in dynamic INT8."""
    rows, inner, columns = PRODUCT
    rng = np.random.default_rng(0)
    # They repeat themselves, so that they pack well; products cost the same.
    repeats = (inner // _PERIOD, columns // _PERIOD)
    single = {
        "w": np.tile(rng.standard_normal((_PERIOD, _PERIOD)), repeats).astype(np.float32),
    }
    integer = {
        "w": np.tile(rng.integers(-127, 128, (_PERIOD, _PERIOD)), repeats).astype(np.int8),
        "s": np.full(columns, 0.01, np.float32),
    }
    contrib = "com.microsoft"
    dynamic = {"op_type": "DynamicQuantizeMatMul", "inputs": ["x", "w", "s"], "domain": contrib}
    return {
        "fp32": _model([{"op_type": "MatMul", "inputs": ["x", "w"]}], single, (rows, columns)),
        "int8": _model([dynamic], integer, (rows, columns)),
    }


def exact_model() -> bytes:
    """Return a model of an INT8 product whose sums are exact only where they have 32 bits.

    It takes `input_ids`, (16, 64) int64 of at most 255, and multiplies by 127: of 255 throughout,
    `y` is 255 * 127 * 64. Processors that add pairs of products in 16 bits give about half of it.
    The operators are those that every runtime turns into its own INT8 products.
    """
    rows, inner, columns = EXACT
    constants = {
        "w": np.full((inner, columns), 127, np.int8),
        "one": np.array(1, np.float32),
        "scales": np.ones(columns, np.float32),
        "zero": np.array(0, np.uint8),
        "zeros": np.zeros(columns, np.int8),
    }
    nodes: list[dict[str, Any]] = [
        {"op_type": "Cast", "inputs": ["input_ids"], "outputs": ["x"], "to": 1},
        {"op_type": "QuantizeLinear", "inputs": ["x", "one", "zero"], "outputs": ["q"]},
        {"op_type": "DequantizeLinear", "inputs": ["q", "one", "zero"], "outputs": ["d"]},
        {
            "op_type": "DequantizeLinear",
            "inputs": ["w", "scales", "zeros"],
            "outputs": ["v"],
            "axis": 1,
        },
        {"op_type": "MatMul", "inputs": ["d", "v"]},
    ]
    return _model(nodes, constants, (rows, columns), ids=(rows, inner))


def _model(
    nodes: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Any],
    shape: tuple[int, int],
    *,
    ids: tuple[int, int] | None = None,
) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    given = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (shape[0], len(constants["w"])))
        if ids is None
        else helper.make_tensor_value_info("input_ids", TensorProto.INT64, ids)
    )
    graph = helper.make_graph(
        [helper.make_node(**{"outputs": ["y"], **node}) for node in nodes],
        "product",
        [given],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=8
    ).SerializeToString()
    return content
