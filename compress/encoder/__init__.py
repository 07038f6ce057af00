"""The lean encoder: one architecture that every Transformer-encoder family is folded into.

Imported by `compress.predictions` and above; knows no recipe. Read `modules.py` first.
Names are loaded on first use, because all but the config need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.encoder.config import LayerSizes, LeanEncoderConfig
    from compress.encoder.folding import UnsupportedArchitectureError
    from compress.encoder.heads.question_answering import LeanEncoderForQuestionAnswering
    from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
    from compress.encoder.heads.token_classification import LeanEncoderForTokenClassification
    from compress.encoder.importers.registry import (
        Imported,
        import_checkpoint,
        supported_model_types,
    )
    from compress.encoder.masks import EncoderMasks
    from compress.encoder.modules import (
        LeanEncoderModel,
        LeanEncoderWithHead,
        LeanOutput,
    )
    from compress.encoder.surgery import (
        SlicePlan,
        fold_token_types,
        keep_heads,
        keep_layers,
        keep_neurons,
        keep_positions,
        slice_model,
    )

__all__ = [
    "EncoderMasks",
    "Imported",
    "LayerSizes",
    "LeanEncoderConfig",
    "LeanEncoderForQuestionAnswering",
    "LeanEncoderForSequenceClassification",
    "LeanEncoderForTokenClassification",
    "LeanEncoderModel",
    "LeanEncoderWithHead",
    "LeanOutput",
    "SlicePlan",
    "UnsupportedArchitectureError",
    "fold_token_types",
    "import_checkpoint",
    "keep_heads",
    "keep_layers",
    "keep_neurons",
    "keep_positions",
    "slice_model",
    "supported_model_types",
]

_HOME = {
    "EncoderMasks": "masks",
    "Imported": "importers.registry",
    "LayerSizes": "config",
    "LeanEncoderConfig": "config",
    "LeanEncoderForQuestionAnswering": "heads.question_answering",
    "LeanEncoderForSequenceClassification": "heads.text_classification",
    "LeanEncoderForTokenClassification": "heads.token_classification",
    "LeanEncoderWithHead": "modules",
    "LeanEncoderModel": "modules",
    "LeanOutput": "modules",
    "SlicePlan": "surgery",
    "UnsupportedArchitectureError": "folding",
    "fold_token_types": "surgery",
    "import_checkpoint": "importers.registry",
    "keep_heads": "surgery",
    "keep_layers": "surgery",
    "keep_neurons": "surgery",
    "keep_positions": "surgery",
    "slice_model": "surgery",
    "supported_model_types": "importers.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
