"""Every error that the command reports, with its exit code; `runtimes.errors` draws the tree."""

from runtimes.errors import (
    ArtifactError,
    BudgetError,
    DataError,
    DeviceUnavailableError,
    EdgepressError,
    MissingDependencyError,
    ModelError,
    ProfileError,
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
    "NoLabelsError",
    "OtherTaskError",
    "ProfileError",
    "RecipeError",
    "UsageError",
    "WrongAnswersError",
]


class NoLabelsError(DataError):
    """Data without a column of labels."""


class OtherTaskError(DataError):
    """Data of another task than the model's.

    Args:
        message: See `EdgepressError`.
        task: The task that the data look like, by its name in `runtimes.tasks`.
        hint: See `EdgepressError`.
    """

    def __init__(self, message: str, *, task: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.task = task


class RecipeError(UsageError):
    """A recipe key that does not exist or a value that does not fit it."""
