"""Several sessions of one model side by side: more inputs a second than one with all threads.

Small products leave the threads of one session waiting for each other; sessions of one thread each
wait for nobody. A single request is no faster for it.
"""

import queue
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from runtimes.base import Array, Session

__all__ = ["SessionPool"]


class SessionPool:
    """Lends its sessions to the threads that call it; satisfies `runtimes.base.Session`.

    Attributes:
        size: Calls that run at the same time; further ones wait.

    Args:
        sessions: The same model, opened several times.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        first = sessions[0]
        self.size = len(sessions)
        self.runtime = first.runtime
        self.device = first.device
        self.precision = first.precision
        self.input_names = first.input_names
        self._all = list(sessions)
        self._free: queue.SimpleQueue[Session] = queue.SimpleQueue()
        for session in sessions:
            self._free.put(session)

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch in whichever session is free."""
        session = self._free.get()
        try:
            return session.run(inputs)
        finally:
            self._free.put(session)

    def close(self) -> None:
        """Free the memory of all of them."""
        for session in self._all:
            session.close()
