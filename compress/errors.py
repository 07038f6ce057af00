"""Every error that the command reports, with its exit code; `runtimes.errors` draws the tree."""

from runtimes.errors import (
    ArtifactError,
    BudgetError,
    DataError,
    DeviceUnavailableError,
    EdgepressError,
    MissingDependencyError,
    ModelError,
    UsageError,
    WrongAnswersError,
)

__all__ = [
    "ArtifactError",
    "BudgetError",
    "DataError",
    "DeviceUnavailableError",
    "EdgepressError",
    "MissingDependencyError",
    "ModelError",
    "RecipeError",
    "UsageError",
    "WrongAnswersError",
]


class RecipeError(UsageError):
    """A recipe key that does not exist or a value that does not fit it."""
