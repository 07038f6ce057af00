"""Several processes on one run (`accelerate launch`): all train, the first one writes.

They need one file system: what the first process saves, the others read.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.nn.utils import parameters_to_vector, vector_to_parameters

__all__ = [
    "average_gradients",
    "from_main",
    "is_main",
    "on_main",
    "own_share",
    "process_state",
    "processes",
    "rank",
    "wait",
]

T = TypeVar("T")
B = TypeVar("B", bound=Any)

# Set in the first process while the others wait for it in `on_main`.
_alone: ContextVar[bool] = ContextVar("_alone", default=False)


def processes() -> int:
    """Return how many processes work together; 1 without `accelerate launch`."""
    return 1 if _alone.get() else int(process_state().num_processes)


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(process_state().process_index)


def is_main() -> bool:
    """Return whether this process is the one that writes and reports."""
    return bool(process_state().is_main_process)


def wait() -> None:
    """Block until every process is here."""
    if processes() > 1:
        process_state().wait_for_everyone()


def from_main(value: T) -> T:
    """Return the first process's value in all of them: they must decide by the same figures.

    Every process has to get here. Where only the first one computes, or `value` may raise, use
    `on_main`.
    """
    if processes() == 1:
        return value
    box = [value]
    broadcast_object_list(box)
    return box[0]


def on_main(work: Callable[[], T]) -> T:
    """Call `work` in the first process alone and return its result in all of them.

    An exception of `work` is raised in all of them too, so that nobody waits for a result that
    never comes. While `work` runs the first process counts as the only one: what it calls may
    train, or use `from_main`, and waits for nobody.

    Args:
        work: Called once; what it returns can be pickled.
    """
    if processes() == 1:
        return work()
    if not is_main():
        succeeded, result = pickle.loads(from_main(b""))
        if not succeeded:
            raise result
        return result
    try:
        with _by_itself():
            result = work()
        packed = pickle.dumps((True, result))
    except Exception as error:
        from_main(_packed(error))
        raise
    from_main(packed)
    return result


def own_share(batch: B) -> B:
    """Return this process's part of a batch; all of it, where there is not one for each."""
    count = processes()
    if count == 1 or len(batch) < count:
        return batch
    share: B = batch[rank() :: count]
    return share


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Give every process the mean of all gradients, in one exchange."""
    count = processes()
    if count == 1:
        return
    trained = list(parameters)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    # Behind them, how many processes have each. One that nobody has stays None: of zeros the
    # optimizer would let its parameter decay.
    owners = gradients[0].new_tensor([p.grad is not None for p in trained])
    together = parameters_to_vector([*gradients, owners])
    torch.distributed.all_reduce(together)
    vector_to_parameters(together / count, [*gradients, owners])
    for parameter, gradient, share in zip(trained, gradients, owners.tolist(), strict=True):
        parameter.grad = gradient if share > 0 else None


def process_state() -> PartialState:
    """Return what the library knows of the processes; the first call connects to the others."""
    # Without an accelerator it has to be told that CPUs may work together.
    return PartialState(cpu=not torch.accelerator.is_available())


@contextmanager
def _by_itself() -> Iterator[None]:
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def _packed(error: Exception) -> bytes:
    """Pickle an error for the others; one that cannot be pickled is told in words."""
    try:
        packed = pickle.dumps((False, error))
        pickle.loads(packed)
    except Exception:  # noqa: BLE001 - pickling calls what the error defines
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return packed
