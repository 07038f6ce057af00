"""Several processes on one run (`accelerate launch`): all train, the first one writes.

They need one file system: what the first process saves, the others read.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

__all__ = [
    "average_gradients",
    "from_main",
    "is_main",
    "own_share",
    "process_state",
    "processes",
    "rank",
    "wait",
]

T = TypeVar("T")
B = TypeVar("B", bound=Any)


def processes() -> int:
    """How many there are; 1 without `accelerate launch`."""
    return int(process_state().num_processes)


def rank() -> int:
    """Which of them this is, from 0."""
    return int(process_state().process_index)


def is_main() -> bool:
    """Whether this is the one that writes and reports."""
    return bool(process_state().is_main_process)


def wait() -> None:
    """Go on when all are here."""
    process_state().wait_for_everyone()


def from_main(value: T) -> T:
    """The first process's value, in all of them: what they decide by must be the same."""
    if processes() == 1:
        return value
    box = [value]
    broadcast_object_list(box)
    return box[0]


def own_share(batch: B) -> B:
    """This process's part of a batch; all of it, where there is not one for each."""
    count = processes()
    if count == 1 or len(batch) < count:
        return batch
    share: B = batch[rank() :: count]
    return share


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Give every process the mean of all gradients."""
    count = processes()
    if count == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= count


def process_state() -> PartialState:
    """Return what the library knows of the processes; the first call connects to the others."""
    # Without an accelerator it has to be told that CPUs may work together.
    return PartialState(cpu=not torch.accelerator.is_available())
