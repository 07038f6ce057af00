"""The errors a user may see, and the exit code each one has.

    EdgepressError                  1   something known went wrong
    ├── UsageError                  2   the command or recipe is wrong
    │   └── RecipeError             2   a recipe key or value (compress.errors)
    ├── ModelError                  1   a checkpoint that cannot be read or is not supported
    ├── DataError                   1   a data set that cannot be read or does not fit the model
    │   └── OtherTaskError          1   data of another task than the model's (compress.errors)
    ├── ArtifactError               1   an artifact that is incomplete, damaged or too new to read
    ├── ProfileError                1   a device profile or a kit of probes that cannot be used
    ├── WrongAnswersError           1   a runtime is wrong on this machine
    ├── MissingDependencyError      3   an optional package is not installed
    ├── DeviceUnavailableError      3   a device was asked for that this machine does not have
    └── BudgetError                 4   no candidate met the accuracy budget (the report is written)

They live here because `runtimes` is the lowest layer; `compress.errors` is the same tree under the
name that users of the command look for.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ArtifactError",
    "BudgetError",
    "DataError",
    "DeviceUnavailableError",
    "EdgepressError",
    "MissingDependencyError",
    "ModelError",
    "OutdatedRuntimeError",
    "ProfileError",
    "UsageError",
    "WrongAnswersError",
    "did_you_mean",
    "nearest",
    "not_finite",
]


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that is nearest to a misspelt one; None where none is near.

    Args:
        name: As it was given.
        known: What it could have been.
        cutoff: Likeness, of 0 to 1, from which a name counts as near.
    """
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a hint at the known name that is nearest to a misspelt one; None where none is."""
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else None


class EdgepressError(Exception):
    """A known failure, worded for the person at the terminal.

    Args:
        message: What was wrong and where (file, column, key), one or two sentences.
        hint: What to do next, ideally a command; printed on a line of its own.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class UsageError(EdgepressError):
    """The command line or the recipe asks for something that does not exist."""

    exit_code = 2


class ModelError(EdgepressError):
    """A checkpoint that cannot be read, or that this tool does not support."""


class DataError(EdgepressError):
    """A data set that cannot be read, or that does not fit the model."""


class ArtifactError(EdgepressError):
    """An artifact that is incomplete, damaged, or of a format version this build cannot read."""


def not_finite() -> ArtifactError:
    """Return the error for an answer of a model that is no finite number."""
    return ArtifactError(
        "The model's answer is no finite number.",
        hint="Its weights are not, or are damaged: compare it with its files (edgepress inspect).",
    )


class ProfileError(EdgepressError):
    """A device profile, or a kit of probes, that is damaged, of another version, or of a model of
    other sizes."""


class WrongAnswersError(EdgepressError):
    """A runtime answers an artifact's own checks wrongly on this machine."""


class MissingDependencyError(EdgepressError):
    """An optional package is not installed."""

    exit_code = 3


class OutdatedRuntimeError(MissingDependencyError):
    """A runtime is installed, in a version that cannot answer rightly; the hint updates it."""


class DeviceUnavailableError(EdgepressError):
    """A device was asked for that this machine does not have."""

    exit_code = 3


class BudgetError(EdgepressError):
    """No candidate met the accuracy budget; the report was written all the same."""

    exit_code = 4
