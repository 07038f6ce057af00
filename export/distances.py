"""What attention heads add to their scores for how far two tokens stand apart, as ONNX nodes.

The same as `compress.encoder.distances`, whose words are used here.
"""

from functools import cached_property

import numpy as np

from export.graph import GraphBuilder
from export.weights import LeanWeights

__all__ = ["Distances"]

_END = np.iinfo(np.int64).max


class Distances:
    """An encoder's distances; nodes that its layers share are made once.

    Args:
        weights: The encoder.
        graph: Where the nodes go.
    """

    def __init__(self, weights: LeanWeights, graph: GraphBuilder) -> None:
        self._weights, self._graph = weights, graph
        self._furthest = int(weights.config.max_relative_distance)

    def added(self, layer: int, q: str, k: str, *, first_only: bool) -> str | None:
        """Return what is added to the scores, (1 or B, heads, T or 1, T); None for nothing.

        Args:
            layer: Its place in the encoder.
            q: (B, T, heads * head_size), with `first_only` (B, 1, heads * head_size).
            k: (B, T, heads * head_size).
            first_only: Whether q is the first token's.
        """
        config = self._weights.config
        if not self._furthest:
            return None
        if not config.distance_vectors:
            return self._numbers(layer, first_only=first_only)
        sizes, graph = config.layers[layer], self._graph
        split = graph.shape(0, 0, sizes["heads"], sizes["head_size"])
        q, k = (
            graph.node("Transpose", graph.node("Reshape", x, split), perm=[0, 2, 1, 3])
            for x in (q, k)
        )
        if first_only:
            of_query = self._products(layer, q, "of_queries", self._behind)
            of_key = graph.node("Mul", k, self._near(layer, "of_keys", self._behind))
            of_key = graph.node("ReduceSum", of_key, graph.shape(3), keepdims=0)  # (B, h, T)
            return graph.node("Add", of_query, graph.node("Unsqueeze", of_key, graph.shape(2)))
        of_query = self._products(layer, q, "of_queries", self._forwards)
        of_key = self._products(layer, k, "of_keys", self._backwards)
        of_key = graph.node("Transpose", self._shifted(of_key), perm=[0, 1, 3, 2])
        return graph.node("Add", self._shifted(of_query), of_key)

    def _numbers(self, layer: int, *, first_only: bool) -> str:
        near = self._near(layer, "numbers", self._behind if first_only else self._square)
        return self._graph.node(
            "Unsqueeze", near, self._graph.shape(*([0, 2] if first_only else [0]))
        )

    def _products(self, layer: int, x: str, table: str, columns: str) -> str:
        """(B, h, Q, d) -> (B, h, Q, columns): with the vectors of these columns."""
        near = self._graph.node("Transpose", self._near(layer, table, columns), perm=[0, 2, 1])
        return self._graph.node("MatMul", x, near)

    def _near(self, layer: int, table: str, columns: str) -> str:
        """Return these columns of a layer's table: (h, columns), or (h, columns, d)."""
        name = f"layers.{layer}.attention.distances.{table}"
        values = self._graph.constant(name, self._weights[name])
        return self._graph.node("Gather", values, columns, axis=1)

    def _shifted(self, x: str) -> str:
        """(B, h, T, 2 T), its columns the distances -T to T - 1 -> (B, h, T, T), its columns the
        keys: row i without the T - i columns before its first key.

        The key of row i begins at number T + (2 T - 1) i of all: without the first T, in rows that
        are one shorter, each row begins with it (the shift of Transformer-XL, Dai et al. 2019,
        appendix B, https://arxiv.org/abs/1901.02860).
        """
        graph, length = self._graph, self._length
        flat = graph.node("Reshape", x, graph.shape(0, 0, -1))
        flat = graph.node("Slice", flat, length, graph.shape(_END), graph.shape(2))
        rows = graph.node("Reshape", flat, self._rows)
        return graph.node("Slice", rows, graph.shape(0), length, graph.shape(3))

    # What follows is made when a layer first asks for it.

    @cached_property
    def _length(self) -> str:
        """(1,)."""
        return self._graph.node("Shape", "input_ids", start=1, end=2)

    @cached_property
    def _count(self) -> str:
        """The same as a scalar."""
        return self._graph.node("Squeeze", self._length)

    @cached_property
    def _rows(self) -> str:
        """The shape (B, h, T, 2 T - 1)."""
        parts = (self._graph.shape(0, 0), self._length, self._graph.shape(-1))
        return self._graph.node("Concat", *parts, axis=0)

    @cached_property
    def _places(self) -> str:
        """(T,): 0 to T - 1."""
        return self._range(self._graph.number(0), self._count, 1)

    @cached_property
    def _behind(self) -> str:
        """(T,): the columns of keys behind the first query."""
        return self._columns(self._places)

    @cached_property
    def _square(self) -> str:
        """(T, T): the column of each query and key."""
        rows = self._graph.node("Unsqueeze", self._places, self._graph.shape(1))
        return self._columns(self._graph.node("Sub", self._places, rows))

    @cached_property
    def _forwards(self) -> str:
        """(2 T,): the columns of -T to T - 1."""
        start = self._graph.node("Neg", self._count)
        return self._columns(self._range(start, self._count, 1))

    @cached_property
    def _backwards(self) -> str:
        """(2 T,): the columns of T to 1 - T."""
        end = self._graph.node("Neg", self._count)
        return self._columns(self._range(self._count, end, -1))

    def _columns(self, apart: str) -> str:
        """Return where distances stand in a table of -D to D."""
        graph, furthest = self._graph, self._furthest
        apart = graph.node("Clip", apart, graph.number(-furthest), graph.number(furthest))
        return graph.node("Add", apart, graph.number(furthest))

    def _range(self, start: str, end: str, step: int) -> str:
        return self._graph.node("Range", start, end, self._graph.number(step))
