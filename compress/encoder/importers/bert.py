"""BERT and everything that calls itself BERT (MiniLM, TinyBERT, BGE, ...)."""

from typing import Any

from compress.encoder.folding import (
    MaskedParts,
    assemble,
    bert_layers,
    check_options,
    head_parts,
    label_settings,
)
from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("bert",)

_MASKED = MaskedParts(
    dense="cls.predictions.transform.dense",
    activation="hidden_act",
    norm="cls.predictions.transform.LayerNorm",
    output="cls.predictions.decoder",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold a `BertForSequenceClassification`, with its pooler in the head, or one for tokens."""
    config = model.config
    check_options(config, config.hidden_act)
    dropout = config.classifier_dropout
    head = head_parts(model, _MASKED) or {
        "dense": model.base_model.pooler.dense,
        "output": model.classifier,
    }
    return assemble(
        embeddings=model.base_model.embeddings,
        layers=bert_layers(model.base_model.encoder.layer, config.num_attention_heads),
        hidden_act=config.hidden_act,
        **{"classifier_activation": "tanh", **head},
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.hidden_dropout_prob if dropout is None else dropout,
        **label_settings(model),
    )
