"""Maps each student layer to the teacher layer that it imitates."""

from collections.abc import Sequence

__all__ = ["after_removal", "imitated_layers"]


def after_removal(kept: Sequence[int], layer_map: Sequence[int]) -> tuple[int, ...]:
    """Return the layer map once only some layers are left.

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
    known: Sequence[int] | None, student_layers: int, teacher_layers: int
) -> tuple[int, ...]:
    """Return the map that is known; evenly spaced layers where none fits.

    Args:
        known: What the last stage left, or None.
        student_layers: Layers of the student.
        teacher_layers: Layers of the teacher.
    """
    if known is not None and len(known) == student_layers:
        return tuple(known)
    return tuple(
        (index + 1) * teacher_layers // student_layers - 1 for index in range(student_layers)
    )
