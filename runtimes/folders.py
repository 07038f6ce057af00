"""Folders and files that appear whole, also where several processes write beside each other."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: folders cannot be opened there, let alone locked
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked", "made_once", "partial_folder", "remove", "write_text"]

_SUFFIX = ".partial"


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of an existing folder; it ends with the process that holds it.

    Nothing is written: the lock is the folder's own (`flock`). On Windows nothing is locked.

    Args:
        folder: The folder.
        wait: Wait for a process that holds it.

    Raises:
        BlockingIOError: Another process holds it, and `wait` is False.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Make a folder beside `target` to be filled and then renamed to it; remove what is left.

    Its name is unique, and it is locked as long as it is filled. Partial folders of `target` that
    nobody holds were left by processes that were killed: they are removed.
    """
    with ExitStack() as held:
        # Under the lock, so that no one takes a folder that was just made for one that was left.
        with locked(target.parent):
            for left in target.parent.glob(f".{target.name}.*{_SUFFIX}"):
                with suppress(OSError), locked(left, wait=False):  # held: a process fills it
                    remove(left)
            made = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
            partial = Path(made)
            partial.chmod(0o777 & ~_umask())  # mkdtemp's are the user's alone
            held.callback(remove, partial)
            held.enter_context(locked(partial))
        yield partial


@contextmanager
def made_once(target: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `target`, unless another process was faster.

    Then the other's is as good, and stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(target) as partial:
        yield partial
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8; either all of it is there afterwards, or the old one still is.

    Its folder is made where it does not exist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}{_SUFFIX}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a folder, file or link, if it is there; what cannot be removed stays."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _umask() -> int:
    """The process's mask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
