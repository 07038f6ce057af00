"""The process that calls a run: what the run and its libraries change of it is put back."""

import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from runtimes.quiet import quiet

__all__ = ["unchanged_process"]

# What PyTorch's generator starts with (c10::detail::default_rng_seed_val).
_TORCH_SEED = 67280421310721


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Run a block with quiet libraries; leave the process as it was, also after an error.

    Restored are the environment variables, the warnings filters, every logger's level, handlers
    and propagation, the random states of Python, NumPy and PyTorch, PyTorch's threads, and the
    verbosity and progress bars of transformers and datasets.
    """
    import transformers  # noqa: F401 - sets its logger's level, which would undo the silence

    with ExitStack() as stack:
        for keep in (_environment, _loggers, _random_states, _torch):
            stack.callback(keep())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(quiet("transformers", "huggingface_hub"))
        yield


def _environment() -> Callable[[], None]:
    before = dict(os.environ)

    def restore() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    return restore


def _loggers() -> Callable[[], None]:
    """Loggers that are made meanwhile are their libraries' own affair."""
    named = logging.root.manager.loggerDict.values()
    found = [logging.root, *(each for each in named if isinstance(each, logging.Logger))]
    before = [(each, each.level, [*each.handlers], each.propagate, each.disabled) for each in found]

    def restore() -> None:
        for logger, level, handlers, propagate, disabled in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate, logger.disabled = propagate, disabled

    return restore


def _random_states() -> Callable[[], None]:
    python, legacy = random.getstate(), np.random.get_state()

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(legacy)

    return restore


def _torch() -> Callable[[], None]:
    """PyTorch's state; of a process that has not loaded it, what it starts with."""
    loaded: Any = sys.modules.get("torch")
    threads = loaded.get_num_threads() if loaded else None
    states = loaded.get_rng_state() if loaded else None
    of_gpus = loaded.cuda.get_rng_state_all() if loaded and loaded.cuda.is_initialized() else None

    def restore() -> None:
        torch: Any = sys.modules.get("torch")
        if torch is None:
            return
        if states is None:
            torch.manual_seed(_TORCH_SEED)
            return
        torch.set_rng_state(states)
        torch.set_num_threads(threads)
        if of_gpus is not None:
            torch.cuda.set_rng_state_all(of_gpus)

    return restore
