"""Defines what a module in `benchmarks/tasks/` provides."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Differences
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop
from benchmarks.labels import Labels
from benchmarks.metrics import ClassDrop, Drop, Metric
from benchmarks.quality import Quality

__all__ = ["Measure"]

Logits = NDArray[np.float32]


class Measure(Protocol):
    """The metric of one task, from the logits (M, C) of all its decisions."""

    def answers(self, logits: Logits, examples: Examples) -> Labels:
        """Return the labels with which these answers would be all right."""
        ...

    def metric(self, logits: Logits, examples: Examples) -> Metric:
        """Return how good the answers are."""
        ...

    def drop(self, reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
        """Return what was lost against the reference."""
        ...

    def drop_by_class(
        self, reference: Logits, logits: Logits, examples: Examples
    ) -> tuple[ClassDrop, ...]:
        """Return what was lost in each class."""
        ...

    def quality(self, logits: Logits, examples: Examples) -> Quality | None:
        """Return what there is to say beyond the metric; None where nothing is decided in classes
        or by scores."""
        ...

    def differences(self, reference: Logits, logits: Logits, examples: Examples) -> Differences:
        """Return the texts on which a model and the reference differ."""
        ...

    def changed(self, one: Logits, other: Logits) -> NDArray[np.bool_]:
        """Return (M,) where two models, or one in two settings, decide differently."""
        ...

    def expected_drop(self, reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
        """Return the drop with less noise than counting right and wrong answers, for choosing."""
        ...
