"""ELECTRA: BERT's layers, embeddings that may be narrower than the layers, a GELU in the head."""

from typing import Any

from compress.encoder.folding import (
    assemble,
    bert_layers,
    check_options,
    label_settings,
    token_head,
)
from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("electra",)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold an `ElectraForSequenceClassification` or one for tokens (the discriminator)."""
    config = model.config
    check_options(config, config.hidden_act)
    dropout = config.classifier_dropout
    head = token_head(model)
    if type(model).__name__.endswith("ForMultipleChoice"):
        head = {"dense": model.sequence_summary.summary, "output": model.classifier}
    elif not head:
        head = {"dense": model.classifier.dense, "output": model.classifier.out_proj}
    return assemble(
        embeddings=model.base_model.embeddings,
        projection=getattr(model.base_model, "embeddings_project", None),
        layers=bert_layers(model.base_model.encoder.layer, config.num_attention_heads),
        hidden_act=config.hidden_act,
        **{"classifier_activation": "gelu", **head},
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.hidden_dropout_prob if dropout is None else dropout,
        **label_settings(model),
    )
