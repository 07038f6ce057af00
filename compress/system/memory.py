"""Memory: how much a run may take, and what libraries say when there is none left."""

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from compress.errors import EdgepressError

__all__ = ["Limit", "describe_exhausted_memory", "memory_limits", "naming_exhausted_memory"]

# What PyTorch, ONNX Runtime, OpenVINO, the C++ library, the loader, the system and, where a module
# of C could not say it, Python say.
_EXHAUSTED = re.compile(
    r"bad[ _]alloc|can(?:'|no)t allocate memory|failed to allocate memory|out of memory"
    r"|failed to map segment|not enough memory|returned NULL without setting an exception",
    re.IGNORECASE,
)
# What else is said where addresses are limited.
_NO_ADDRESSES = re.compile(
    r"can't start new thread|thread constructor failed|resource temporarily unavailable"
    r"|cannot open shared object|partially initialized module",
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
    limits = memory_limits()  # now: later there is no memory to find out
    try:
        yield
    except Exception as error:
        said = describe_exhausted_memory(error, limits)
        if isinstance(error, EdgepressError) or said is None:
            raise
        raise EdgepressError(
            said,
            hint="give it more memory, or less to do: fewer rows, a smaller max_length or "
            "distill.batch_size; the same command goes on from what is finished",
        ) from error


def describe_exhausted_memory(error: BaseException, limits: Sequence[Limit]) -> str | None:
    """Return a sentence if an error, or one that it was made of, says that memory has run out.

    Args:
        error: What was raised.
        limits: The bounds, found out before.
    """
    found: BaseException | None = error
    while found is not None and not _is_exhausted(found):
        found = found.__cause__ or found.__context__
    if found is None and any(limit.addresses for limit in limits) and _lacks_addresses(error):
        found = error
    if found is None:
        return None
    said = next(iter(str(found).strip().splitlines()), "") or type(found).__name__
    return f"memory has run out: {said[:300]}; there are {', '.join(map(str, limits))}"


def _is_exhausted(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return _EXHAUSTED.search(str(error)) is not None


def _lacks_addresses(error: BaseException) -> bool:
    """Return whether this is what becomes of libraries and threads that find no room."""
    if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
        return True
    return isinstance(error, SystemError) or _NO_ADDRESSES.search(str(error)) is not None
