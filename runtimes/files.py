"""Reading files that others wrote: regular ones only, and never more than was expected."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OpenFile", "read_file"]

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)  # Windows would change ends of lines
    | getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes to would be waited for
)
_PIECE = 1 << 20


class OpenFile:
    """A regular file that is held open: it stays the same file, whatever becomes of its name.

    Several threads may read it.

    Attributes:
        size: Its bytes when it was opened.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: It is not a regular file: a folder, a device, a pipe.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        if path.is_dir():  # Windows calls this a lack of permission
            raise ValueError("is a folder")
        self._descriptor = os.open(path, _FLAGS)
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise ValueError("is not a regular file")
        self.size = found.st_size
        self._written = found.st_mtime_ns
        self._reading = threading.Lock()  # threads share the place in the file

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes, from the first on; fewer or more if others write to it meanwhile."""
        left = self.size + 1  # one more shows that it has grown
        with self._reading:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            while left > 0 and (piece := os.read(self._descriptor, min(left, _PIECE))):
                yield piece
                left -= len(piece)

    def read(self) -> bytes:
        """Return its bytes, as `pieces` yields them."""
        return b"".join(self.pieces())

    def is_at(self, path: Path) -> bool:
        """Return whether `path` is this file, and not another one that took its name."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def was_written(self) -> bool:
        """Return whether somebody wrote to the file since it was opened."""
        found = os.fstat(self._descriptor)
        return (found.st_size, found.st_mtime_ns) != (self.size, self._written)

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: There is no such file, or it may not be read.
        ValueError: It is not a regular file, or has more than `most` bytes.
    """
    file = OpenFile(path)
    try:
        if file.size > most:
            raise ValueError(f"has {file.size} bytes; {most} are allowed")
        return file.read()
    finally:
        file.close()
