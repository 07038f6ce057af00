"""RoBERTa, XLM-RoBERTa and CamemBERT: BERT's layers with positions counted from padding id + 1."""

from typing import Any

from compress.encoder.folding import Folding, fold, layer_parts
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

MODEL_TYPES = ("camembert", "roberta", "xlm-roberta")

_HEADS = HeadPaths(
    pooler="base_model.pooler.dense",
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
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    config, encoder = model.config, model.base_model
    return Folding(
        model,
        [layer_parts(layer, config.num_attention_heads) for layer in encoder.encoder.layer],
        _HEADS,
        first_position=encoder.embeddings.padding_idx + 1,
        classifier_dropout=config.classifier_dropout,
    )
