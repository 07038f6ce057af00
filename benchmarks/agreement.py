"""Measures agreement with the original model, where nobody labelled the texts.

Its own answers are the labels then, so it agrees with itself by definition, and what a model loses
is 100 less its agreement. Whether the original is right, nobody knows.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Differences
from benchmarks.examples import Examples
from benchmarks.expected import ExpectedDrop, as_measured
from benchmarks.metrics import ClassDrop, Drop, Metric
from benchmarks.quality import Quality
from benchmarks.stats import wilson_interval

if TYPE_CHECKING:
    from benchmarks.labels import Labels
    from benchmarks.tasks.base import Measure

__all__ = ["AGREEMENT", "Agreement", "basis_of", "by_definition", "lost", "measures_agreement"]

AGREEMENT = "agreement"
"""The metric's name; of others than accuracy, that follows in brackets: `agreement (F1)`."""

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Agreement:
    """A task's measure against the original's answers, which are the examples' labels.

    Attributes:
        measure: Of the same task, by labels of people.
    """

    measure: "Measure"

    def answers(self, logits: Logits, examples: Examples) -> "Labels":
        """Return the labels with which these answers would be all right."""
        return self.measure.answers(logits, examples)

    def metric(self, logits: Logits, examples: Examples) -> Metric:
        """Return the share of answers that are the original's, or what the task counts instead.

        Where no text differs, the interval is that of such a share: a bootstrap would have no
        width.
        """
        found = self.measure.metric(logits, examples)
        name = AGREEMENT if found.name == "accuracy" else f"{AGREEMENT} ({found.name})"
        if found.low == found.high == 100:
            found = Metric.of(name, wilson_interval(found.n, found.n), found.n)
        return replace(found, name=name)

    def drop(self, reference: Logits, logits: Logits, examples: Examples, *, seed: int) -> Drop:
        """Return what agreement lacks to 100; nothing of the original itself."""
        if logits is reference:
            return Drop(0.0, 0.0, 0.0, 1.0)
        p_value = self.measure.drop(reference, logits, examples, seed=seed).p_value
        return replace(lost(self.metric(logits, examples)), p_value=p_value)

    def drop_by_class(
        self, reference: Logits, logits: Logits, examples: Examples
    ) -> tuple[ClassDrop, ...]:
        """Return what was lost of each class that the original predicts."""
        return self.measure.drop_by_class(reference, logits, examples)

    def quality(self, logits: Logits, examples: Examples) -> Quality | None:
        """Return what there is to say of classes; whether scores hold, only labels tell."""
        found = self.measure.quality(logits, examples)
        if found is None or not found.classes:
            return None
        return replace(found, bins=(), thresholds=(), calibration_error=0.0)

    def differences(self, reference: Logits, logits: Logits, examples: Examples) -> Differences:
        """Return the texts on which the two differ; which of them is right is not known."""
        found = self.measure.differences(reference, logits, examples)
        texts = tuple(replace(one, label="") for one in found.texts)
        return replace(found, reference_right=0, answer_right=0, texts=texts)

    def changed(self, one: Logits, other: Logits) -> NDArray[np.bool_]:
        """Return (M,) where two models, or one in two settings, decide differently."""
        return self.measure.changed(one, other)

    def expected_drop(self, reference: Logits, logits: Logits, examples: Examples) -> ExpectedDrop:
        """Return the drop as it is counted: labels that the original gives have no noise.

        `benchmarks.expected` would learn from them that the original is always right, and take
        each difference for a text that both doubt: a tenth of what is lost
        (docs/adr/0020-agreement-without-labels.md).
        """
        return as_measured(self.drop(reference, logits, examples, seed=0))


def lost(agreement: Metric) -> Drop:
    """Return what agreement lacks to 100, with its interval."""
    return Drop(100 - agreement.value, 100 - agreement.high, 100 - agreement.low, 1.0)


def by_definition(agreement: Metric) -> Metric:
    """Return the original's agreement with itself, which has no interval."""
    return replace(agreement, value=100.0, low=100.0, high=100.0)


def basis_of(metric: str) -> str:
    """Return what agreement is measured by, such as `F1`; of another metric, its name."""
    return metric.partition("(")[2].removesuffix(")") or metric


def measures_agreement(metric: Metric | None) -> bool:
    """Return whether a metric is agreement with the original."""
    return metric is not None and metric.name.partition(" ")[0] == AGREEMENT
