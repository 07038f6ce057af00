"""One model in two files: a lean one for rows of equal length, and one that knows padding."""

import threading
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from runtimes.base import CLOSED, Array, Session

__all__ = ["TwoVariants"]


class TwoVariants:
    """Runs the file without a mask wherever nothing is padded; satisfies `runtimes.base.Session`.

    The other file is opened when the first padded batch comes: single requests never need it. What
    opens it has to answer for its being the same model still. Several threads may call it.

    Attributes:
        unpadded_names: Inputs of the file without a mask: what a batch without padding needs.

    Args:
        unpadded: The file without a mask, open.
        open_padded: Opens the file with one.
        input_names: Inputs of the file with a mask, `attention_mask` among them.
    """

    def __init__(
        self, unpadded: Session, open_padded: Callable[[], Session], input_names: tuple[str, ...]
    ) -> None:
        self.runtime = unpadded.runtime
        self.device = unpadded.device
        self.precision = unpadded.precision
        self.input_names = input_names
        self.unpadded_names = unpadded.input_names
        self._unpadded = unpadded
        self._open_padded: Callable[[], Session] = open_padded
        self._padded: Session | None = None
        self._opening = threading.Lock()

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays, without a mask where nothing is padded; returns
        every output by name."""
        mask = inputs.get("attention_mask")
        if mask is None or mask.all():
            return self._unpadded.run(inputs)
        return self._with_mask().run(inputs)

    def close(self) -> None:
        """Free the memory of both."""
        self._unpadded.close()
        with self._opening:
            if self._padded is not None and self._padded is not CLOSED:
                self._padded.close()
            self._padded = self._open_padded = CLOSED

    def _with_mask(self) -> Session:
        if self._padded is None:
            with self._opening:
                if self._padded is None:  # no other thread was faster
                    self._padded = self._open_padded()
                    self._open_padded = CLOSED  # lets go of the files
        return self._padded
