"""Disks that are full: which one, and how much room it has left."""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.errors import EdgepressError

__all__ = ["naming_full_disks", "shown_bytes"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Libraries written in Rust have errors of their own, with the system's number in their text.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def shown_bytes(size: float) -> str:
    """Return a size for people, such as `1.2 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


@contextmanager
def naming_full_disks(out: Path) -> Iterator[None]:
    """Turn what libraries say of a full disk or quota into one error that names the place.

    Args:
        out: Where the block writes, if the library's error does not name its file.

    Raises:
        EdgepressError: A disk is full; says how much room is left.
    """
    try:
        yield
    except Exception as error:
        if _number(error) not in _FULL:
            raise
        place = Path(getattr(error, "filename", None) or out)
        folder = next(each for each in (place, *place.absolute().parents) if each.is_dir())
        free = shown_bytes(shutil.disk_usage(folder).free)
        raise EdgepressError(
            f"no space left on the disk, or in the quota, of {place} ({free} are free)",
            hint="make room and run the same command again: it goes on from what is finished",
        ) from error


def _number(error: Exception) -> int | None:
    """Return the system's error number, where there is one."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None
