"""DistilBERT: BERT without token types, with names and a classification head of its own."""

from typing import Any

from compress.encoder.folding import (
    LayerParts,
    MaskedParts,
    assemble,
    check_options,
    head_parts,
    label_settings,
)
from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("distilbert",)

_MASKED = MaskedParts(
    dense="vocab_transform",
    activation="activation",
    norm="vocab_layer_norm",
    output="vocab_projector",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold a `DistilBertForSequenceClassification` or one for tokens, with any positions."""
    config = model.config
    check_options(config, config.activation)
    layers = [
        LayerParts(
            query=layer.attention.q_lin,
            key=layer.attention.k_lin,
            value=layer.attention.v_lin,
            attention_output=layer.attention.out_lin,
            attention_norm=layer.sa_layer_norm,
            up=layer.ffn.lin1,
            down=layer.ffn.lin2,
            feed_forward_norm=layer.output_layer_norm,
            heads=config.n_heads,
        )
        for layer in model.base_model.transformer.layer
    ]
    head = head_parts(model, _MASKED) or {"dense": model.pre_classifier, "output": model.classifier}
    return assemble(
        embeddings=model.base_model.embeddings,
        layers=layers,
        hidden_act=config.activation,
        **{"classifier_activation": "relu", **head},
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        classifier_dropout=config.seq_classif_dropout,
        **label_settings(model),
    )
