"""Which teacher layer each student layer imitates."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LINEAGE_KEY", "after_removal", "imitated_layers"]

LINEAGE_KEY = "teacher_layers"
"""Under this key a stage's lineage entry lists, by student layer, the teacher layer imitated."""


def after_removal(kept: Sequence[int], layer_map: Sequence[int]) -> tuple[int, ...]:
    """The layer map once only some layers are left.

    A layer also stands in for the removed ones that followed it: it imitates what came just before
    the next layer that is left, which so reads what it was trained to read. The last one imitates
    the teacher's last layer, and the head reads what the teacher's head reads.

    Args:
        kept: Ascending indices of the layers that are left.
        layer_map: By layer before the removal, the teacher layer imitated.
    """
    ends = [following - 1 for following in kept[1:]]
    return tuple(layer_map[end] for end in [*ends, len(layer_map) - 1])


def imitated_layers(
    lineage: Sequence[Mapping[str, Any]], student_layers: int, teacher_layers: int
) -> tuple[int, ...]:
    """The map that the last stage recorded; evenly spaced layers where none did.

    Args:
        lineage: Of the student.
        student_layers: Its layers.
        teacher_layers: The teacher's layers.
    """
    for entry in reversed(lineage):
        recorded = entry.get(LINEAGE_KEY)
        if recorded is not None and len(recorded) == student_layers:
            return tuple(int(layer) for layer in recorded)
    return tuple(
        (index + 1) * teacher_layers // student_layers - 1 for index in range(student_layers)
    )
