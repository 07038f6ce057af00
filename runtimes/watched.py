"""A model whose files the library has mapped: writing to them would change its answers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from runtimes.artifact import ArtifactFile
from runtimes.base import Array, Session

__all__ = ["WatchedSession"]


class WatchedSession:
    """Asks before each run whether the files are as they were; satisfies `runtimes.base.Session`.

    That takes about a microsecond a file. A file that is written to while the model runs is found
    at the next run.

    Args:
        session: The model, open.
        files: Those that are mapped, held open.
    """

    def __init__(self, session: Session, files: Sequence[ArtifactFile]) -> None:
        self.runtime = session.runtime
        self.device = session.device
        self.precision = session.precision
        self.input_names = session.input_names
        self._session = session
        self._files = files

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays; returns every output by name.

        Raises:
            ArtifactError: Somebody wrote to a file.
        """
        for file in self._files:
            file.check_unwritten()
        return self._session.run(inputs)

    def close(self) -> None:
        """Free the model's memory."""
        self._session.close()
        self._files = ()
