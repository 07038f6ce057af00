"""ELECTRA: BERT's layers, embeddings that may be narrower than the layers, a GELU in the head."""

from typing import Any

from torch import nn

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

MODEL_TYPES = ("electra",)

_MASKED = MaskedParts(
    dense="generator_predictions.dense",
    activation="gelu",
    norm="generator_predictions.LayerNorm",
    output="generator_lm_head",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold an `ElectraForSequenceClassification` or one for tokens (the discriminator)."""
    config = model.config
    check_options(config, config.hidden_act)
    dropout = config.classifier_dropout
    head = head_parts(model, _MASKED)
    if not head and isinstance(model.classifier, nn.Linear):  # behind the encoder's own pooler
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
