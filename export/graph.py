"""A small builder of ONNX graphs: constants, nodes, and the finished model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["CONTRIB", "GraphBuilder"]

# Domain of ONNX Runtime's fused operators.
CONTRIB = "com.microsoft"

# By opset from which on: old enough for everything that knows the operators.
_IR_VERSIONS = {0: 8, 19: 9, 20: 10}


class GraphBuilder:
    """Collects nodes and constants; values are their names.

    A constant's name says where it came from (`layers.0.attention.qkv.weight`), so that the file
    can be read by a person in a graph viewer.

    Args:
        opset: Version of the standard operators.
    """

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._counts: dict[str, int] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant called `name`; one that is there already is used again."""
        if name not in self._constants:
            # np.ascontiguousarray would turn a scalar into a vector
            array = np.array(value, order="C")
            self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def shape(self, *sizes: int) -> str:
        """Add a constant vector of 64-bit integers, shared by all that need the same."""
        name = "shape." + "_".join(str(size) for size in sizes)
        return self.constant(name, np.array(sizes, dtype=np.int64))

    def number(self, value: int) -> str:
        """Add a 64-bit integer, shared by all that need the same."""
        return self.constant(f"number_{value}", np.array(value, dtype=np.int64))

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; return the output."""
        return self.nodes(operator, inputs, 1, domain=domain, **attributes)[0]

    def nodes(
        self, operator: str, inputs: Sequence[str], outputs: int, *, domain: str = "", **attrs: Any
    ) -> list[str]:
        """Add a node with several outputs; an empty input name leaves an optional input out."""
        count = self._counts.get(operator, 0)
        self._counts[operator] = count + 1
        name = f"{operator}_{count}"
        names = [name if outputs == 1 else f"{name}.{index}" for index in range(outputs)]
        node = helper.make_node(operator, list(inputs), names, name=name, domain=domain, **attrs)
        self._nodes.append(node)
        return names

    def model(
        self, inputs: Sequence[str], outputs: Mapping[str, tuple[str, Sequence[str | int]]]
    ) -> onnx.ModelProto:
        """Return the model.

        Args:
            inputs: Names of its inputs, int64 (batch, sequence).
            outputs: By name, the value that a float32 output takes, and its shape.
        """
        # Renamed, not passed through an Identity: converters would keep the first of the two names.
        names = {value: name for name, (value, _) in outputs.items()}
        for node in self._nodes:
            for values in (node.input, node.output):
                values[:] = [names.get(value, value) for value in values]
        graph = helper.make_graph(
            self._nodes,
            "lean-encoder",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
                for name in inputs
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
                for name, (_, shape) in outputs.items()
            ],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", self._opset)]
        if any(node.domain == CONTRIB for node in self._nodes):
            opsets.append(helper.make_opsetid(CONTRIB, 1))
        ir_version = max(v for since, v in _IR_VERSIONS.items() if since <= self._opset)
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=ir_version, producer_name="edgepress"
        )
