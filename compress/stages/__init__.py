"""The stages of a run, found by their file names: a new stage is one new file and nothing else."""

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from compress.errors import UsageError

if TYPE_CHECKING:
    from compress.stages.base import Stage

__all__ = ["get_stage", "stage_names"]


_NO_STAGES = {"base", "lineage"}


def stage_names() -> tuple[str, ...]:
    """Names of all stages, sorted; none is imported."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(
        sorted(name for name in names if name not in _NO_STAGES and not name.startswith("_"))
    )


def get_stage(name: str) -> "Stage":
    """The stage called `name`.

    Raises:
        UsageError: There is no such stage; the message lists those there are.
    """
    known = stage_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"there is no stage {name!r}; there are: {', '.join(known)}",
            hint=f"Did you mean {close[0]}?" if close else None,
        )
    return cast("Stage", importlib.import_module(f"{__name__}.{name}").STAGE)
