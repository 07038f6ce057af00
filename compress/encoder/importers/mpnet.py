"""MPNet: BERT's layers, whose heads also add a learned number for each distance of two tokens."""

from typing import Any

import torch
from torch import Tensor, nn

from compress.encoder.folding import (
    LayerParts,
    MaskedParts,
    UnsupportedArchitectureError,
    assemble,
    check_options,
    head_parts,
    label_settings,
)
from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("mpnet",)

_MASKED = MaskedParts(
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
    config = model.config
    check_options(config, config.hidden_act)
    encoder = model.base_model
    if config.pad_token_id != encoder.embeddings.padding_idx:
        raise UnsupportedArchitectureError(
            f"mpnet with pad_token_id={config.pad_token_id} cannot be imported: transformers "
            f"counts its positions without the tokens {encoder.embeddings.padding_idx}"
        )
    head = head_parts(model, _MASKED)
    if not head and isinstance(model.classifier, nn.Linear):  # behind the encoder's own pooler
        head = {"dense": encoder.pooler.dense, "output": model.classifier}
    elif not head:
        head = {"dense": model.classifier.dense, "output": model.classifier.out_proj}
    first_position = encoder.embeddings.padding_idx + 1
    furthest = min(_FURTHEST, config.max_position_embeddings - first_position - 1)
    numbers = _numbers(encoder.encoder, furthest)
    return assemble(
        embeddings=encoder.embeddings,
        layers=[
            LayerParts(
                query=layer.attention.attn.q,
                key=layer.attention.attn.k,
                value=layer.attention.attn.v,
                attention_output=layer.attention.attn.o,
                attention_norm=layer.attention.LayerNorm,
                up=layer.intermediate.dense,
                down=layer.output.dense,
                feed_forward_norm=layer.output.LayerNorm,
                heads=config.num_attention_heads,
                distances={"numbers": numbers},
            )
            for layer in encoder.encoder.layer
        ],
        first_position=first_position,
        max_relative_distance=furthest,
        hidden_act=config.hidden_act,
        **{"classifier_activation": "tanh", **head},
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.hidden_dropout_prob,
        **label_settings(model),
    )


def _numbers(encoder: Any, furthest: int) -> Tensor:
    """Return (heads, 2 D + 1): what each head adds for keys at -D to D tokens from the query."""
    ranges = encoder.relative_position_bucket(torch.arange(-furthest, furthest + 1))
    values: Tensor = encoder.relative_attention_bias(ranges)
    return values.T
