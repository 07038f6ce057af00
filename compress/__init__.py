"""Compress a fine-tuned Transformer encoder inside an accuracy budget.

    from compress import Recipe, compress

    result = compress("my-model", data="my-data", recipe=Recipe.preset("fast"), out="out")
    result.table()

The public face, which is `__all__`; everything else in this package is internal:

- `compress` a model by a `Recipe`, which gives a `Result`;
- `train` or `pretrain` a teacher by `TrainingSettings`;
- `benchmark` any mix of models, which gives a `Benchmark`; `tune` an artifact for this machine;
- `register` the lean encoder with transformers' Auto classes now;
- what is raised is an `EdgepressError`: `ArtifactError`, `BudgetError`, `DataError`, `ModelError`,
  `UsageError` and others.

Names are loaded when they are first used: importing the package loads neither torch nor
transformers. It does arrange that transformers' Auto classes know the lean encoder (`model_type:
"lean-encoder"`) once they are imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from compress.encoder.auto_classes import install as _install

if TYPE_CHECKING:
    from compress.api import Benchmark, Result, benchmark, compress, pretrain, train, tune
    from compress.config.recipe import Recipe
    from compress.encoder.auto_classes import register
    from compress.errors import (
        ArtifactError,
        BudgetError,
        DataError,
        EdgepressError,
        ModelError,
        UsageError,
    )
    from compress.training.settings import TrainingSettings

__all__ = [
    "ArtifactError",
    "Benchmark",
    "BudgetError",
    "DataError",
    "EdgepressError",
    "ModelError",
    "Recipe",
    "Result",
    "TrainingSettings",
    "UsageError",
    "benchmark",
    "compress",
    "pretrain",
    "register",
    "train",
    "tune",
]

_HOMES = {
    "compress.api": ("Benchmark", "Result", "benchmark", "compress", "pretrain", "train", "tune"),
    "compress.config.recipe": ("Recipe",),
    "compress.encoder.auto_classes": ("register",),
    "compress.errors": (
        "ArtifactError",
        "BudgetError",
        "DataError",
        "EdgepressError",
        "ModelError",
        "UsageError",
    ),
    "compress.training.settings": ("TrainingSettings",),
}

_install()


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
