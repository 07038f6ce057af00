"""The parts of a lean encoder; their parameters are listed in `compress.encoder.modules`."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import ACT2FN

from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.encoder.distances import build_distances

__all__ = ["QKV", "Embeddings", "EncoderLayer", "FeedForward", "OutputBias", "SelfAttention"]

QKV = tuple[Tensor, Tensor, Tensor]


class OutputBias(nn.Module):
    """Bias of an output projection all of whose inputs are pruned."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.bias.expand_as(hidden)


class Embeddings(nn.Module):
    """Word, position and token-type embeddings, LayerNorm, and the projection to H if any."""

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__()
        width = config.embedding_size
        self.words = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_position_embeddings, width)
        self.types = nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.projection = (
            nn.Linear(width, config.hidden_size) if width != config.hidden_size else None
        )

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        # Positions start at 0, so the table's first T rows are what a lookup would give.
        hidden = self.words(input_ids) + self.positions.weight[: input_ids.shape[1]]  # (B, T, E)
        if self.types is not None:
            if token_type_ids is None:
                hidden = hidden + self.types.weight[0]
            else:
                hidden = hidden + self.types(token_type_ids)
        hidden = self.dropout(self.norm(hidden))
        return hidden if self.projection is None else self.projection(hidden)


class SelfAttention(nn.Module):
    """Multi-head self-attention over one fused Q, K, V matrix."""

    def __init__(self, config: LeanEncoderConfig, sizes: LayerSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.head_size = sizes.head_size
        self.dropout = config.attention_dropout
        width = sizes.heads * sizes.head_size
        self.qkv = nn.Linear(config.hidden_size, 3 * width) if width else None
        self.output: nn.Module = (
            nn.Linear(width, config.hidden_size) if width else OutputBias(config.hidden_size)
        )
        self.distances = build_distances(config, sizes)

    def forward(
        self,
        hidden: Tensor,
        padding: Tensor | None,
        mask: Tensor | None = None,
        first_only: bool = False,
    ) -> tuple[Tensor, QKV]:
        """Attend.

        Args:
            hidden: (B, T, H).
            padding: (B, 1, 1, T), added to the scores, or None when nothing is padded.
            mask: Head mask (heads,) or (B, heads), or None.
            first_only: Compute the first token's query only.

        Returns:
            Output (B, T or 1, H) and (q, k, v), each (B, heads, T, head_size) (q: T or 1).
        """
        queries = hidden[:, :1] if first_only else hidden
        if self.qkv is None:
            batch, length, _ = hidden.shape
            empty = hidden.new_zeros(batch, 0, length, self.head_size)
            return self.output(queries), (empty, empty, empty)
        width = self.heads * self.head_size
        if first_only:
            q = F.linear(queries, self.qkv.weight[:width], self.qkv.bias[:width])
            kv = F.linear(hidden, self.qkv.weight[width:], self.qkv.bias[width:])
            k, v = kv.split(width, dim=-1)
        else:
            q, k, v = self.qkv(hidden).split(width, dim=-1)
        q, k, v = (self._split(x) for x in (q, k, v))  # (B, h, T, d)
        if self.distances is not None:
            far = self.distances(q, k)  # (B or 1, h, T or 1, T)
            padding = far if padding is None else far + padding
        context = _attend(q, k, v, padding, self.dropout if self.training else 0.0)
        if mask is not None:
            context = context * mask[..., None, None]
        return self.output(context.transpose(1, 2).flatten(2)), (q, k, v)

    def _split(self, x: Tensor) -> Tensor:
        """Map (B, T, h d) to (B, h, T, d)."""
        return x.unflatten(-1, (self.heads, self.head_size)).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, padding: Tensor | None, dropout: float) -> Tensor:
    """Return softmax(q k^T + padding) v, each (B, h, T, d); q is scaled already, and padding
    broadcasts to (B, h, T, T)."""
    # Exporters decompose SDPA and wrap K's transpose in shape arithmetic; written out, a layer's
    # attention becomes MatMul, Add, Softmax, MatMul.
    exporting = torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
    # Its gradients in bfloat16 take six times as long on processors (docs/log.md).
    slow = q.dtype == torch.bfloat16 and q.device.type == "cpu" and torch.is_grad_enabled()
    if not (exporting or slow):
        return F.scaled_dot_product_attention(q, k, v, padding, dropout_p=dropout, scale=1.0)
    scores = q @ k.transpose(-1, -2)
    chances = (scores if padding is None else scores + padding).softmax(dim=-1)
    if dropout:
        chances = F.dropout(chances, dropout)
    return chances.to(v.dtype) @ v


class FeedForward(nn.Module):
    """Two matrices with an activation between them."""

    def __init__(self, config: LeanEncoderConfig, sizes: LayerSizes) -> None:
        super().__init__()
        neurons = sizes.intermediate_size
        self.up = nn.Linear(config.hidden_size, neurons) if neurons else None
        self.activation = ACT2FN[config.hidden_act]
        self.down: nn.Module = (
            nn.Linear(neurons, config.hidden_size) if neurons else OutputBias(config.hidden_size)
        )

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, T, H) to (B, T, H); `mask` is a neuron mask (I,) or (B, 1, I), or None."""
        if self.up is None:
            return self.down(hidden)
        neurons = self.activation(self.up(hidden))  # (B, T, I)
        return self.down(neurons if mask is None else neurons * mask)


class EncoderLayer(nn.Module):
    """Attention and feed-forward network, each with its residual and a LayerNorm after it."""

    def __init__(self, config: LeanEncoderConfig, sizes: LayerSizes) -> None:
        super().__init__()
        self.attention = SelfAttention(config, sizes)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config, sizes)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Tensor,
        padding: Tensor | None,
        masks: tuple[Tensor, Tensor, Tensor] | None = None,
        first_only: bool = False,
    ) -> tuple[Tensor, QKV]:
        """Map (B, T, H) to (B, T, H), or to (B, 1, H) when only the first token is wanted.

        Args:
            hidden: (B, T, H).
            padding: See `SelfAttention`.
            masks: This layer's head mask, neuron mask and gate (a scalar), or None.
            first_only: Compute the first token's output only.
        """
        head_mask, neuron_mask, gate = masks if masks is not None else (None, None, None)
        attended, qkv = self.attention(hidden, padding, head_mask, first_only)
        residual = hidden[:, :1] if first_only else hidden
        x = self.attention_norm(residual + self.dropout(attended))
        x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x, neuron_mask)))
        if gate is not None:
            x = residual + gate * (x - residual)
        return x, qkv
