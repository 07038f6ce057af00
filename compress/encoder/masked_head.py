"""Where families keep the head of a masked-language model."""

from functools import reduce
from typing import Any

__all__ = ["masked_head"]

# By model type: the dense layer, its activation (a field of the config, or its name), the LayerNorm
# and the decoder, whose rows are the vocabulary.
_BERT = "cls.predictions.transform"
_PLACES = {
    **dict.fromkeys(
        ("bert", "deberta-v2"),
        (f"{_BERT}.dense", "hidden_act", f"{_BERT}.LayerNorm", "cls.predictions.decoder"),
    ),
    **dict.fromkeys(
        ("camembert", "mpnet", "roberta", "xlm-roberta"),
        ("lm_head.dense", "gelu", "lm_head.layer_norm", "lm_head.decoder"),
    ),
    "distilbert": ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    "electra": (
        "generator_predictions.dense",
        "gelu",
        "generator_predictions.LayerNorm",
        "generator_lm_head",
    ),
    "albert": (
        "predictions.dense",
        "hidden_act",
        "predictions.LayerNorm",
        "predictions.decoder",
    ),
}


def masked_head(model: Any) -> dict[str, Any]:
    """The head of a `...ForMaskedLM`, as `compress.encoder.folding.assemble` takes it."""
    dense, activation, norm, output = _PLACES[model.config.model_type]
    return {
        "dense": _at(model, dense),
        "norm": _at(model, norm),
        "output": _at(model, output),
        "head": "mask",
        "classifier_activation": getattr(model.config, activation, activation),
    }


def _at(model: Any, path: str) -> Any:
    return reduce(getattr, path.split("."), model)
