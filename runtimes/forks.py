"""What becomes of open models in a forked child: they are left alone, and say so when asked.

The libraries answer with threads that a fork does not copy. A child that used a model, or freed it
when it ends, could wait for them for good or be killed.
"""

import ctypes
import os
import weakref
from typing import TYPE_CHECKING, Any

from runtimes.errors import UsageError

if TYPE_CHECKING:
    from runtimes.pipeline import Predictor

__all__ = ["LEFT", "guard"]

_open: "weakref.WeakSet[Predictor]" = weakref.WeakSet()


class _Left:
    """Takes the place of a session in a child of the process that opened it."""

    def __getattr__(self, name: str) -> Any:
        raise UsageError(
            "This model was loaded before this process was forked, and cannot be used in it.",
            hint="Load it after the fork, in each process: load(FOLDER)",
        )

    def close(self) -> None:
        """Do nothing: it is the parent's."""


LEFT: Any = _Left()
"""Stands where a predictor had its session, in a forked child."""


def guard(predictor: "Predictor") -> None:
    """Make a predictor an error in children that are forked from now on."""
    _open.add(predictor)


def _leave() -> None:
    """In the child: let nobody reach the sessions, nor free them, also when the child ends."""
    for predictor in _open:
        # One reference that is never given back: the object outlives the interpreter.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(predictor.session))
        predictor.session = LEFT
    _open.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_leave)
