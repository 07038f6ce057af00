"""Memory: how much a run may take, and what libraries say when there is none left."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from compress.errors import EdgepressError

__all__ = ["Limit", "memory_limits", "naming_exhausted_memory"]

# What PyTorch, ONNX Runtime, OpenVINO, the C++ library, the loader, the system and, where a module
# of C could not say it, Python say.
_EXHAUSTED = re.compile(
    r"bad[ _]alloc|can(?:'|no)t allocate memory|failed to allocate memory|out of memory"
    r"|failed to map segment|not enough memory|returned NULL without setting an exception",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Limit:
    """A bound on memory.

    Attributes:
        size_bytes: The bound.
        source: Who set it.
        addresses: Whether it counts addresses, which are many times what is really held.
    """

    size_bytes: int
    source: str
    addresses: bool = False

    def __str__(self) -> str:
        return f"{self.size_bytes / 1e9:.1f} GB ({self.source})"


def memory_limits() -> list[Limit]:
    """Return the bounds on this process's memory, the machine's own first."""
    import psutil

    from runtimes.cgroups import memory_limit_bytes

    limits = [Limit(int(psutil.virtual_memory().total), "of this machine")]
    if (group := memory_limit_bytes()) is not None and group < limits[0].size_bytes:
        limits.append(Limit(group, "limit of the container or service"))
    try:
        import resource
    except ImportError:  # Windows has none
        return limits
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(Limit(soft, "limit on addresses, ulimit -v", addresses=True))
    return limits


@contextmanager
def naming_exhausted_memory() -> Iterator[None]:
    """Turn what libraries say where memory has run out into one error that names the limits.

    Raises:
        EdgepressError: There is none left.
    """
    limits = ", ".join(map(str, memory_limits()))  # now: later there is no memory to find out
    try:
        yield
    except Exception as error:
        if isinstance(error, EdgepressError) or not _is_exhausted(error):
            raise
        said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise EdgepressError(
            f"memory has run out: {said[:300]}; there are {limits}",
            hint="give it more memory, or less to do: fewer rows, a smaller max_length or "
            "distill.batch_size; the same command goes on from what is finished",
        ) from error


def _is_exhausted(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return _EXHAUSTED.search(str(error)) is not None
