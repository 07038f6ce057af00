"""Keeps the most important heads and neurons of the whole model, in usable sizes."""

import heapq
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["keep_best_heads", "keep_best_neurons"]

Scores = Sequence[NDArray[np.float64]]


def keep_best_heads(scores: Scores, remove: int) -> dict[int, list[int]]:
    """Drop the `remove` least important heads of all layers.

    Args:
        scores: L arrays (heads of the layer,).
        remove: How many; a layer may lose all of its heads.

    Returns:
        By layer, the ascending indices of the heads that stay.
    """
    return _keep_best(
        [[np.asarray([i]) for i in _ascending(layer)] for layer in scores], scores, remove
    )


def keep_best_neurons(scores: Scores, remove: int, step: int) -> dict[int, list[int]]:
    """Drop about `remove` of the least important neurons, in blocks of `step`.

    A block holds a layer's least important neurons that are left, so widths stay multiples of
    `step`; where a width is none to begin with, its first block is the remainder. Blocks are
    compared by the importance they hold for each neuron.

    Args:
        scores: L arrays (neurons of the layer,).
        remove: How many; at least the last block is not dropped where it would overshoot.
        step: Widths are multiples of it.

    Returns:
        By layer, the ascending indices of the neurons that stay.
    """
    blocks: list[list[NDArray[np.int64]]] = []
    for layer in scores:
        order = _ascending(layer)
        first = len(order) % step or min(step, len(order))
        edges = [0, *range(first, len(order) + 1, step)] if len(order) else [0]
        blocks.append([order[a:b] for a, b in pairwise(edges)])
    return _keep_best(blocks, scores, remove)


def _ascending(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(scores, kind="stable")


def _keep_best(
    blocks: list[list[NDArray[np.int64]]], scores: Scores, remove: int
) -> dict[int, list[int]]:
    """Drop blocks, each layer's in order, the least important of all layers first."""
    keep = {layer: set(range(len(values))) for layer, values in enumerate(scores)}
    heap: list[tuple[float, int, int]] = []

    def offer(layer: int, position: int) -> None:
        if position < len(blocks[layer]):
            mean = float(scores[layer][blocks[layer][position]].mean())
            heapq.heappush(heap, (mean, layer, position))

    for layer in range(len(blocks)):
        offer(layer, 0)
    left = remove
    while heap and left > 0:
        _, layer, position = heapq.heappop(heap)
        block = blocks[layer][position]
        if len(block) > 2 * left:  # nearer to what was asked for without it
            continue
        keep[layer] -= {int(index) for index in block}
        left -= len(block)
        offer(layer, position + 1)
    return {layer: sorted(indices) for layer, indices in keep.items()}
