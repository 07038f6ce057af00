"""Compresses a fine-tuned Transformer encoder inside an accuracy budget.

Importing this package loads neither torch nor transformers. It does arrange that transformers'
Auto classes know the lean encoder (`model_type: "lean-encoder"`) once they are imported.
"""

from compress.encoder.auto_classes import install as _install
from compress.encoder.auto_classes import register

__all__ = ["register"]

_install()
