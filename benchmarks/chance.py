"""A reference that knows no more of the labels than chance, and what may explain it."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, WordLabels

__all__ = ["chance_notes"]

_MANY_CLASSES = 1000  # of a vocabulary, no order is looked for


def chance_notes(logits: NDArray[np.float32], examples: Examples) -> list[str]:
    """Return what to say of a model that is right no more often than one that always says the same.

    Of one whose own answers are the labels, whether they are all the same.

    Where most texts of each class are given one class, another for each, the labels are probably in
    another order than the model's: the note names that order, and the accuracy that it gives.

    Args:
        logits: (M, C) of all decisions.
        examples: Their labels.

    Returns:
        A note, or none: the model is better than that, or its labels are no classes.
    """
    if not isinstance(examples.targets, ClassLabels | WordLabels):
        return []
    labels, said, names = examples.labels, logits.argmax(axis=1), examples.label_names
    if not examples.labelled:
        if len(found := np.unique(said)) > 1 or not names:
            return []
        return [
            f"The original model answers '{names[found[0]]}' to all of {len(said):,} cases: "
            "agreement with it says little. Are the texts of the kind that it is for?"
        ]
    right = float(np.mean(labels == said))
    present, counts = np.unique(labels, return_counts=True)
    common, chance = present[counts.argmax()], float(counts.max() / len(labels))
    if len(present) < 2 or right > chance:
        return []
    note = (
        f"The original model is right in {100 * right:.1f}% of the cases; always answering "
        f"'{names[common]}' would be in {100 * chance:.1f}%."
    )
    if len(names) <= _MANY_CLASSES:
        usual = [int(np.bincount(said[labels == label]).argmax()) for label in present]
        told = dict(zip(present.tolist(), usual, strict=True))
        permuted = float(np.mean([told[label] for label in labels.tolist()] == said))
        if len(set(usual)) == len(usual) and permuted > chance:
            moved = [f"'{names[a]}' is '{names[b]}'" for a, b in told.items() if a != b][:8]
            note += (
                f" Its classes seem to be in another order: if the data's {', '.join(moved)} "
                f"of the model, it is right in {100 * permuted:.1f}%. Compare id2label in its "
                "config.json with the labels of the data."
            )
    return [note]
