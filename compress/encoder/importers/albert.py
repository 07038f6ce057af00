"""ALBERT: layers that share their weights are written out, to be pruned each on its own."""

from typing import Any

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

MODEL_TYPES = ("albert",)

_MASKED = MaskedParts(
    dense="predictions.dense",
    activation="hidden_act",
    norm="predictions.LayerNorm",
    output="predictions.decoder",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold an `AlbertForSequenceClassification`, with its pooler in the head, or one for tokens."""
    config = model.config
    check_options(config, config.hidden_act)
    if config.embedding_size == config.hidden_size:
        raise UnsupportedArchitectureError(
            "albert with embeddings as wide as its layers cannot be imported: the lean encoder has "
            "no matrix between the two"
        )
    albert = model.base_model
    head = head_parts(model, _MASKED) or {"dense": albert.pooler, "output": model.classifier}
    return assemble(
        embeddings=albert.embeddings,
        projection=albert.encoder.embedding_hidden_mapping_in,
        layers=[
            LayerParts(
                query=layer.attention.query,
                key=layer.attention.key,
                value=layer.attention.value,
                attention_output=layer.attention.dense,
                attention_norm=layer.attention.LayerNorm,
                up=layer.ffn,
                down=layer.ffn_output,
                feed_forward_norm=layer.full_layer_layer_norm,
                heads=config.num_attention_heads,
            )
            for layer in _in_order(albert.encoder.albert_layer_groups, config.num_hidden_layers)
        ],
        hidden_act=config.hidden_act,
        **{"classifier_activation": "tanh", **head},
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.classifier_dropout_prob,
        **label_settings(model),
    )


def _in_order(groups: Any, depth: int) -> list[Any]:
    """Return the layers as an input passes them: each group several times, each time all of it."""
    order = []
    for index in range(depth):
        order += groups[int(index / (depth / len(groups)))].albert_layers
    return order
