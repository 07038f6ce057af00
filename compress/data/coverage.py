"""What the labels of the three splits say too little of: absent classes, contradictions."""

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, LabelSets, WordLabels
from compress.data.splitting import keys
from compress.data.table import listed

__all__ = ["coverage_notes"]

_CLASSES = (ClassLabels, LabelSets, WordLabels)


def coverage_notes(train: Examples, selection: Examples, report: Examples) -> list[str]:
    """Return notes on classes that a split does not hold, and on texts with several labels.

    Labels that are no classes (scores, spans, choices) have none.
    """
    if not isinstance(train.targets, _CLASSES):
        return []
    parts = {"train": train, "selection": selection, "report": report}
    if selection is report:
        del parts["selection"]
    present = {name: _present(part) for name, part in parts.items()}
    everywhere = set.union(*present.values())
    why = {
        "train": "they cannot be learnt",
        "selection": "whether a smaller model still tells them plays no part in choosing it",
        "report": "a model that never gives them loses nothing there",
    }
    notes = []
    for name, own in present.items():
        if absent := sorted(everywhere - own):
            notes.append(
                f"The {name} split holds no example of {len(absent)} of the {len(everywhere)} "
                f"classes in the data: {listed([train.label_names[i] for i in absent], limit=8)}; "
                f"{why[name]}."
            )
    if contradictory := _contradictory(train):
        notes.append(
            f"{contradictory} texts of the train split occur with different labels, case and "
            "spacing aside."
        )
    return notes


def _present(examples: Examples) -> set[int]:
    """Return the classes that occur."""
    labels = examples.labels
    if isinstance(examples.targets, LabelSets):
        return set(np.flatnonzero(labels.any(axis=0)).tolist())
    return set(np.unique(labels).tolist())


def _contradictory(examples: Examples) -> int:
    """Return how many texts there are with different labels."""
    labels: dict[tuple[str, ...], set[bytes]] = {}
    for index, key in enumerate(keys(examples)):
        labels.setdefault(key, set()).add(examples.targets.of(index).tobytes())
    return sum(len(own) > 1 for own in labels.values())
