"""DistilBERT: BERT without token types, with names and a classification head of its own."""

from typing import Any

from compress.encoder.folding import LayerParts, assemble, check_options, label_settings, token_head
from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("distilbert",)


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
    head = token_head(model) or {"dense": model.pre_classifier, "output": model.classifier}
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
