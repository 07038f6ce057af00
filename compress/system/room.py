"""Room on disks and in memory: what work needs, whether it is there, and which disk is full."""

import errno
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compress.errors import EdgepressError
from compress.system.memory import memory_limits

__all__ = ["Room", "check_room", "naming_full_disks", "shown_bytes"]

_log = logging.getLogger("edgepress")

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Libraries written in Rust have errors of their own, with the system's number in their text.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_ADDRESSES = 6e9  # that the libraries of a run's processes reserve
_FACTOR = 1.5  # by which an estimate may be wrong


@dataclass(frozen=True)
class Room:
    """Room that a run takes.

    Attributes:
        kept_bytes: Of what its output folder holds at the end.
        temporary_bytes: Of further files there while it goes on, at most.
        memory_bytes: Of memory, of all its processes together.
    """

    kept_bytes: float
    temporary_bytes: float
    memory_bytes: float

    def __str__(self) -> str:
        return (
            f"{shown_bytes(self.kept_bytes)} in the output folder and "
            f"{shown_bytes(self.temporary_bytes)} more while it goes on, "
            f"{shown_bytes(self.memory_bytes)} of memory"
        )


def shown_bytes(size: float) -> str:
    """Return a size for people, such as `1.2 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


def check_room(
    room: Room, folder: Path, say: Callable[[str], None], *, work: str = "run", less: str = ""
) -> None:
    """Log what some work takes and what there is, and say it where that is not enough.

    Args:
        room: All that it takes.
        folder: Its output folder, which is there; what it holds already is not needed again.
        say: Told what is short.
        work: What needs it.
        less: What might be asked for instead where the disk is too small.

    Raises:
        EdgepressError: The disk cannot hold the result, even if the estimate is much too high.
    """
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    kept = max(0.0, room.kept_bytes - held)
    free = shutil.disk_usage(folder).free
    limits = memory_limits()
    _log.info(
        "room: the %s takes about %s; %s are free there, memory %s",
        work,
        room,
        shown_bytes(free),
        ", ".join(map(str, limits)),
    )
    need = f"the {work} needs about {shown_bytes(kept)} in {folder}"
    if free * _FACTOR < kept:
        raise EdgepressError(
            f"the disk is too small: {need}, and {shown_bytes(free)} are free there",
            hint=f"make room, or name a folder on another disk with --out{less}",
        )
    if free < kept + room.temporary_bytes:
        temporary = shown_bytes(room.temporary_bytes)
        say(f"{need} and {temporary} more while it goes on; {shown_bytes(free)} are free there")
    for limit in limits:
        wanted = room.memory_bytes + (_ADDRESSES if limit.addresses else 0)
        if limit.size_bytes < wanted:
            say(f"the {work} needs about {shown_bytes(wanted)} of memory; there are {limit}")


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
