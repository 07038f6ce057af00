"""DistilBERT: BERT without token types, with names and a classification head of its own."""

from typing import Any

from compress.encoder.folding import Folding, fold, layer_parts
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

MODEL_TYPES = ("distilbert",)

_LAYER = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "attention_output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "feed_forward_norm": "output_layer_norm",
}
_HEADS = HeadPaths(
    pooler="pre_classifier",
    classifier_activation="relu",
    dense="vocab_transform",
    activation="activation",
    norm="vocab_layer_norm",
    output="vocab_projector",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold a `DistilBertForSequenceClassification` or one for tokens, with any positions."""
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    config = model.config
    return Folding(
        model,
        [layer_parts(x, config.n_heads, _LAYER) for x in model.base_model.transformer.layer],
        _HEADS,
        classifier_dropout=config.seq_classif_dropout,
        settings={
            "hidden_act": config.activation,
            "dropout": config.dropout,
            "attention_dropout": config.attention_dropout,
        },
    )
