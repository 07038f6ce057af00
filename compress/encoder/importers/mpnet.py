"""MPNet: BERT's layers, whose heads also add a learned number for each distance of two tokens."""

from typing import Any

import torch
from torch import Tensor

from compress.encoder.folding import (
    BERT_LAYER,
    Folding,
    UnsupportedArchitectureError,
    fold,
    layer_parts,
)
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

MODEL_TYPES = ("mpnet",)

_LAYER = {
    **BERT_LAYER,
    "query": "attention.attn.q",
    "key": "attention.attn.k",
    "value": "attention.attn.v",
    "attention_output": "attention.attn.o",
    "attention_norm": "attention.LayerNorm",
}
_HEADS = HeadPaths(
    pooler="base_model.pooler.dense",
    dense="lm_head.dense",
    activation="gelu",
    norm="lm_head.layer_norm",
    output="lm_head.decoder",
)

# Where MPNet stops telling distances apart (`relative_position_bucket`).
_FURTHEST = 128


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold an `MPNetForSequenceClassification`, one for tokens, or an `MPNetModel`.

    The family gives logarithmic ranges of distances one number each, the same in all layers. In
    the lean encoder each distance has its own, in each layer, so that layers can lose heads.
    """
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    config, encoder = model.config, model.base_model
    if config.pad_token_id != encoder.embeddings.padding_idx:
        raise UnsupportedArchitectureError(
            f"mpnet with pad_token_id={config.pad_token_id} cannot be imported: transformers "
            f"counts its positions without the tokens {encoder.embeddings.padding_idx}"
        )
    first_position = encoder.embeddings.padding_idx + 1
    furthest = min(_FURTHEST, config.max_position_embeddings - first_position - 1)
    distances = {"numbers": _numbers(encoder.encoder, furthest)}
    return Folding(
        model,
        [
            layer_parts(layer, config.num_attention_heads, _LAYER, distances=distances)
            for layer in encoder.encoder.layer
        ],
        _HEADS,
        first_position=first_position,
        settings={"max_relative_distance": furthest},
    )


def _numbers(encoder: Any, furthest: int) -> Tensor:
    """Return (heads, 2 D + 1): what each head adds for keys at -D to D tokens from the query."""
    ranges = encoder.relative_position_bucket(torch.arange(-furthest, furthest + 1))
    values: Tensor = encoder.relative_attention_bias(ranges)
    return values.T
