"""One module a family, found by the `model_type`s it declares.

Every module here has two names, and nothing else is public:

    MODEL_TYPES: tuple[str, ...]         the `model_type`s (config.json) that it imports
    convert(model) -> LeanEncoderWithHead
                                         the transformers model, folded; raises
                                         UnsupportedArchitectureError for options it cannot fold

`compress.encoder.importing` checks the result's logits against the original's. To add a family,
add a file.
"""

from compress.encoder.importing import (
    Imported,
    UnsupportedArchitectureError,
    import_checkpoint,
    supported_model_types,
)

__all__ = [
    "Imported",
    "UnsupportedArchitectureError",
    "import_checkpoint",
    "supported_model_types",
]
