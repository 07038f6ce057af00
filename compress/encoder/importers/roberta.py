"""RoBERTa, XLM-RoBERTa and CamemBERT: BERT's layers with positions counted from padding id + 1."""

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

MODEL_TYPES = ("camembert", "roberta", "xlm-roberta")

_MASKED = MaskedParts(
    dense="lm_head.dense",
    activation="gelu",
    norm="lm_head.layer_norm",
    output="lm_head.decoder",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold a `RobertaForSequenceClassification`, one for tokens, or a twin of theirs.

    The family numbers the tokens that are not padding, from padding id + 1 on. With padding on
    the right that is a plain count, so the table is cut to start at the first token's row. (A
    text that spells out the padding token itself would be numbered differently.)
    """
    config = model.config
    check_options(config, config.hidden_act)
    encoder = model.base_model
    dropout = config.classifier_dropout
    head = head_parts(model, _MASKED)
    if not head and isinstance(model.classifier, nn.Linear):  # behind the encoder's own pooler
        head = {"dense": encoder.pooler.dense, "output": model.classifier}
    elif not head:
        head = {"dense": model.classifier.dense, "output": model.classifier.out_proj}
    return assemble(
        embeddings=encoder.embeddings,
        layers=bert_layers(encoder.encoder.layer, config.num_attention_heads),
        first_position=encoder.embeddings.padding_idx + 1,
        hidden_act=config.hidden_act,
        **{"classifier_activation": "tanh", **head},
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.hidden_dropout_prob if dropout is None else dropout,
        **label_settings(model),
    )
