"""Opening an artifact that another process may be replacing at the same moment."""

import time
from collections.abc import Callable
from pathlib import Path

from runtimes.artifact import MANIFEST_NAME, previous_of
from runtimes.errors import ArtifactError
from runtimes.pipeline import Predictor

__all__ = ["open_settled"]

# What is being replaced is looked at again after so many seconds, so many times.
_PAUSE, _TRIES = 0.05, 40


def open_settled(folder: Path, attempt: Callable[[], Predictor], *, verified: bool) -> Predictor:
    """Open an artifact, and do so again where it was replaced meanwhile.

    Between the two renames of `write_artifact` there is no folder, and an attempt that began with
    the old manifest may meet the new files.

    Args:
        folder: The artifact.
        attempt: Opens it.
        verified: Whether that compares every file with the manifest: then what was opened is one
            artifact, whatever has become of the folder since.

    Raises:
        ArtifactError: As `attempt` does, if the folder is not being replaced, or for too long.
    """
    for left in reversed(range(_TRIES)):
        before = _state(folder)
        try:
            predictor = attempt()
        except ArtifactError:
            if left == 0 or not _is_replaced(folder, before):
                raise
        else:
            if verified or left == 0 or _state(folder) in (before, None):
                return predictor
            predictor.close()
        time.sleep(_PAUSE)
    raise AssertionError("the last attempt returns or raises")


def _is_replaced(folder: Path, before: tuple[int, ...] | None) -> bool:
    """Return whether another artifact takes the place of the one with that state."""
    now = _state(folder)
    if now is None:
        # Between the two renames the earlier one has another name, and loses it after the second:
        # if it lost it since, there is a new one.
        return previous_of(folder).exists() or _state(folder) is not None
    return now != before


def _state(folder: Path) -> tuple[int, ...] | None:
    """Return what tells one manifest from another without reading it; None where there is none."""
    try:
        found = (folder / MANIFEST_NAME).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
