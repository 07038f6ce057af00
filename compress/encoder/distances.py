"""Makes what attention heads add to their scores for how far two tokens stand apart."""

import torch
from torch import Tensor, nn

from compress.encoder.config import LayerSizes, LeanEncoderConfig

__all__ = ["DistanceNumbers", "DistanceVectors", "build_distances"]


class DistanceNumbers(nn.Module):
    """A number for each distance (MPNet, Song et al. 2020, https://arxiv.org/abs/2004.09297)."""

    def __init__(self, heads: int, furthest: int) -> None:
        super().__init__()
        self.furthest = furthest
        self.numbers = nn.Parameter(torch.zeros(heads, 2 * furthest + 1))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Return what to add to the scores.

        Args:
            query: (B, heads, Q, d), of all of the tokens or of the first one.
            key: (B, heads, T, d).

        Returns:
            (1, heads, Q, T).
        """
        return self.numbers[:, _columns(_apart(query, key), self.furthest)][None]


class DistanceVectors(nn.Module):
    """Two vectors for each distance: a query's product with the one and a key's with the other
    (DeBERTa, He et al. 2020, https://arxiv.org/abs/2006.03654)."""

    def __init__(self, heads: int, furthest: int, head_size: int) -> None:
        super().__init__()
        self.furthest = furthest
        size = (heads, 2 * furthest + 1, head_size)
        self.of_queries = nn.Parameter(torch.zeros(size))
        self.of_keys = nn.Parameter(torch.zeros(size))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Return (B, heads, Q, T), as `DistanceNumbers` does."""
        length = key.shape[2]
        # A product with each distance that occurs, of which every pair of tokens takes its own.
        occurring = torch.arange(1 - length, length, device=key.device)
        columns, places = _columns(occurring, self.furthest), _apart(query, key) + (length - 1)
        of_query = query @ self.of_queries[:, columns].transpose(1, 2)  # (B, h, Q, 2 T - 1)
        of_key = key @ self.of_keys[:, columns].transpose(1, 2)  # (B, h, T, 2 T - 1)
        batch, heads = key.shape[:2]
        of_query = of_query.gather(3, places.expand(batch, heads, -1, -1))
        of_key = of_key.gather(3, places.T.expand(batch, heads, -1, -1))
        return of_query + of_key.transpose(2, 3)


def build_distances(config: LeanEncoderConfig, sizes: LayerSizes) -> nn.Module | None:
    """Return a layer's, with fresh weights; None where its heads do not tell distances apart."""
    furthest = config.max_relative_distance
    if not furthest or not sizes.heads:
        return None
    if config.distance_vectors:
        return DistanceVectors(sizes.heads, furthest, sizes.head_size)
    return DistanceNumbers(sizes.heads, furthest)


def _apart(query: Tensor, key: Tensor) -> Tensor:
    """Return integers (Q, T): by how many tokens each key stands behind each query."""
    places = torch.arange(key.shape[2], device=key.device)
    return places[None, :] - places[: query.shape[2], None]


def _columns(apart: Tensor, furthest: int) -> Tensor:
    """Return where a distance stands in a table of -D to D."""
    return apart.clamp(-furthest, furthest) + furthest
