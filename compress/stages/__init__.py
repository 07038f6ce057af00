"""The stages of a run, found by their file names: a new stage is one new file and nothing else.

Imported by `compress.search` and above. Read `base.py` first.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from compress.errors import UsageError
from runtimes.errors import did_you_mean

if TYPE_CHECKING:
    from compress.config.recipe import Recipe
    from compress.stages.base import Stage
    from export.quantization import QuantizationPlan

__all__ = ["by_latency", "get_stage", "planned_quantization", "stage_names"]

_NO_STAGES = {"base", "lineage"}


def stage_names() -> tuple[str, ...]:
    """Return the names of all stages, sorted; none is imported."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(
        sorted(name for name in names if name not in _NO_STAGES and not name.startswith("_"))
    )


def get_stage(name: str) -> "Stage":
    """Return the stage called `name`.

    Raises:
        UsageError: There is no such stage; the message lists those there are.
    """
    known = stage_names()
    if name not in known:
        raise UsageError(
            f"there is no stage {name!r}; there are: {', '.join(known)}",
            hint=did_you_mean(name, known),
        )
    return cast("Stage", importlib.import_module(f"{__name__}.{name}").STAGE)


def by_latency(recipe: "Recipe") -> bool:
    """Return whether members are made as fast as is asked, rather than by the stages' settings."""
    asked = bool(recipe.speedups or recipe.target_latency_ms)
    return asked and any(get_stage(name).meets_latency for name in recipe.stages)


def planned_quantization(recipe: "Recipe") -> "QuantizationPlan | None":
    """Return how the recipe's stages will have members quantized; None where none of them does."""
    plans = (get_stage(name).plan(recipe) for name in recipe.stages)
    return next((plan for plan in plans if plan is not None), None)
