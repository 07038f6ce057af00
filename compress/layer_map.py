"""Which teacher layer each student layer imitates."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LINEAGE_KEY", "imitated_layers", "with_last"]

LINEAGE_KEY = "teacher_layers"
"""Under this key a stage's lineage entry lists, by student layer, the teacher layer imitated."""


def with_last(origins: Sequence[int], teacher_layers: int) -> tuple[int, ...]:
    """Each layer imitates the teacher layer it was taken from; the last one, the teacher's last.

    What the head reads must be what the teacher's head reads, whichever layers are gone.

    Args:
        origins: By student layer, the teacher layer its weights come from; ascending.
        teacher_layers: Number of layers of the teacher.
    """
    return (*origins[:-1], teacher_layers - 1)


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
