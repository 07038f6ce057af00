"""BERT and everything that calls itself BERT (MiniLM, TinyBERT, BGE, ...)."""

from typing import Any

from compress.encoder.folding import fold, layer_parts
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("bert",)

_HEADS = HeadPaths(
    pooler="base_model.pooler.dense",
    dense="cls.predictions.transform.dense",
    activation="hidden_act",
    norm="cls.predictions.transform.LayerNorm",
    output="cls.predictions.decoder",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold a `BertForSequenceClassification`, with its pooler in the head, or one for tokens."""
    config = model.config
    layers = [layer_parts(x, config.num_attention_heads) for x in model.base_model.encoder.layer]
    return fold(model, layers, _HEADS, classifier_dropout=config.classifier_dropout)
