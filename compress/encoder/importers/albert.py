"""ALBERT: layers that share their weights are written out, to be pruned each on its own."""

from typing import Any

from compress.encoder.folding import Folding, UnsupportedArchitectureError, fold, layer_parts
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

MODEL_TYPES = ("albert",)

_LAYER = {
    "query": "attention.query",
    "key": "attention.key",
    "value": "attention.value",
    "attention_output": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "up": "ffn",
    "down": "ffn_output",
    "feed_forward_norm": "full_layer_layer_norm",
}
_HEADS = HeadPaths(
    pooler="base_model.pooler",
    dense="predictions.dense",
    activation="hidden_act",
    norm="predictions.LayerNorm",
    output="predictions.decoder",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold an `AlbertForSequenceClassification`, with its pooler in the head, or one for tokens."""
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    config, encoder = model.config, model.base_model.encoder
    if config.embedding_size == config.hidden_size:
        raise UnsupportedArchitectureError(
            "albert with embeddings as wide as its layers cannot be imported: the lean encoder has "
            "no matrix between the two"
        )
    in_order = _in_order(encoder.albert_layer_groups, config.num_hidden_layers)
    return Folding(
        model,
        [layer_parts(layer, config.num_attention_heads, _LAYER) for layer in in_order],
        _HEADS,
        projection=encoder.embedding_hidden_mapping_in,
        classifier_dropout=config.classifier_dropout_prob,
    )


def _in_order(groups: Any, depth: int) -> list[Any]:
    """Return the layers as an input passes them: each group several times, each time all of it."""
    order = []
    for index in range(depth):
        order += groups[int(index / (depth / len(groups)))].albert_layers
    return order
