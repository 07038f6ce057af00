"""ELECTRA: BERT's layers, embeddings that may be narrower than the layers, a GELU in the head."""

from typing import Any

from compress.encoder.folding import Folding, fold, layer_parts
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

MODEL_TYPES = ("electra",)

_HEADS = HeadPaths(
    pooler="sequence_summary.summary",
    classifier_activation="gelu",
    dense="generator_predictions.dense",
    activation="gelu",
    norm="generator_predictions.LayerNorm",
    output="generator_lm_head",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold an `ElectraForSequenceClassification` or one for tokens (the discriminator)."""
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    config = model.config
    return Folding(
        model,
        [layer_parts(x, config.num_attention_heads) for x in model.base_model.encoder.layer],
        _HEADS,
        projection=getattr(model.base_model, "embeddings_project", None),
        classifier_dropout=config.classifier_dropout,
    )
