"""BERT and everything that calls itself BERT (MiniLM, TinyBERT, BGE, ...)."""

from typing import Any

from compress.encoder.folding import assemble, bert_layers, check_options, label_settings
from compress.encoder.modules import LeanEncoderForSequenceClassification

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("bert",)


def convert(model: Any) -> LeanEncoderForSequenceClassification:
    """Fold a `BertForSequenceClassification`; its pooler becomes the head's first matrix."""
    config = model.config
    check_options(config, config.hidden_act)
    dropout = config.classifier_dropout
    return assemble(
        embeddings=model.bert.embeddings,
        layers=bert_layers(model.bert.encoder.layer, config.num_attention_heads),
        dense=model.bert.pooler.dense,
        output=model.classifier,
        hidden_act=config.hidden_act,
        classifier_activation="tanh",
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.hidden_dropout_prob if dropout is None else dropout,
        **label_settings(config),
    )
