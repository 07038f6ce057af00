"""Values that others wrote, compared with the types that a dataclass declares."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["built"]

_Kind = TypeVar("_Kind")
_LARGEST = 1e300


def built(kind: Callable[..., _Kind], values: Mapping[str, Any]) -> _Kind:
    """Return an instance of a dataclass with the values that it has fields for.

    Raises:
        TypeError: A value is missing, or not of its field's type; names the field.
    """
    hints = _hints(kind)
    known = {name: values[name] for name in hints if name in values}
    for name, value in known.items():
        if not _fits(value, hints[name]):
            raise TypeError(f"{name} is {value!r:.60}")
    return kind(**known)


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, tuple) or (inner[-1] is not ... and len(value) != len(inner)):
            return False
        of = [inner[0]] * len(value) if inner[-1] is ... else inner
        return all(_fits(each, hint) for each, hint in zip(value, of, strict=True))
    if hint in (int, float):  # True is no number here
        numbers = (int,) if hint is int else (int, float)
        return type(value) in numbers and abs(value) < _LARGEST  # nor is NaN
    return hint is Any or isinstance(value, origin or hint)
