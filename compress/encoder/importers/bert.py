"""BERT and everything that calls itself BERT (MiniLM, TinyBERT, BGE, ...)."""

from typing import Any

from compress.encoder.folding import Folding, fold, layer_parts
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

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
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    config = model.config
    layers = [layer_parts(x, config.num_attention_heads) for x in model.base_model.encoder.layer]
    return Folding(model, layers, _HEADS, classifier_dropout=config.classifier_dropout)
