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

A second tier is for people who experiment. Its functions are the parts of a run, each on its own:
`import_encoder`, `measure_latency_table`, `prune_heads`, `prune_to_latency`, `distill`,
`quantization_plan` and `export_artifact`. None changes what it is given, keeps a file but the
artifact, or knows a recipe. They take texts without labels:

    import runtimes
    from compress import distill, export_artifact, import_encoder, prune_heads, quantization_plan

    imported = import_encoder("my-model")
    teacher, tokenizer = imported.model, imported.tokenizer
    smaller = prune_heads(teacher, tokenizer, texts, share=0.5)
    plan = quantization_plan()
    student = distill(smaller, teacher, tokenizer, texts, epochs=2, plan=plan)
    export_artifact(
        "my-artifact", module=student, tokenizer=tokenizer, plan=plan, max_length=128,
        calibration=texts[:128], checks=texts[:32],
    )
    runtimes.load("my-artifact")("a gorgeous , witty film")

Names are loaded when they are first used: importing the package loads neither torch nor
transformers. It does arrange that transformers' Auto classes know the lean encoder (`model_type:
"lean-encoder"`) once they are imported.
"""

from typing import TYPE_CHECKING, Any

from compress.encoder.auto_classes import install as _install

if TYPE_CHECKING:
    from compress.api import Benchmark, Result, benchmark, compress, pretrain, train, tune
    from compress.config.recipe import Recipe
    from compress.distillation.matching import distill
    from compress.encoder.auto_classes import register
    from compress.encoder.importers.registry import import_encoder
    from compress.errors import (
        ArtifactError,
        BudgetError,
        DataError,
        EdgepressError,
        ModelError,
        UsageError,
    )
    from compress.latency.measurement import measure_latency_table
    from compress.pruning.heads import prune_heads
    from compress.pruning.to_latency import prune_to_latency
    from compress.quantization.plan import quantization_plan
    from compress.training.settings import TrainingSettings
    from export.package import export_artifact

_HOMES = {
    "compress.api": "Benchmark Result benchmark compress pretrain train tune",
    "compress.config.recipe": "Recipe",
    "compress.distillation.matching": "distill",
    "compress.encoder.auto_classes": "register",
    "compress.encoder.importers.registry": "import_encoder",
    "compress.errors": "ArtifactError BudgetError DataError EdgepressError ModelError UsageError",
    "compress.latency.measurement": "measure_latency_table",
    "compress.pruning.heads": "prune_heads",
    "compress.pruning.to_latency": "prune_to_latency",
    "compress.quantization.plan": "quantization_plan",
    "compress.training.settings": "TrainingSettings",
    "export.package": "export_artifact",
}

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
    "distill",
    "export_artifact",
    "import_encoder",
    "measure_latency_table",
    "pretrain",
    "prune_heads",
    "prune_to_latency",
    "quantization_plan",
    "register",
    "train",
    "tune",
]

_install()


def __getattr__(name: str) -> Any:
    # Imported here: `python -m compress` begins with this file, before `__main__` has seen to it
    # that no `runtimes` of the working directory is taken for ours.
    from runtimes.lazy import lazy

    homes = {name: home for home, names in _HOMES.items() for name in names.split()}
    return lazy(__name__, homes)(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
