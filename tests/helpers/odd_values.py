"""Values that no field of a file expects, for tests that forge files."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, -0.0, 10**6, 2**31, 2**63, 10**30, 10**400, 1e308),
    *(float("nan"), float("inf"), "", " ", "x", "gelu", "\ud83d", "\x1b[2J\x1b]0;x\x07", "\x00"),
    *("a\nb\rc", "a" * 5000, "</script>", "=1+1", "../x", "/etc/passwd"),
    *([], [[]], [None], ["x"], [5], {}, {"x": 1}, [{}]),
]


def in_turn(number: int, share: int) -> Sequence[Any]:
    """Return one in `share` of the odd values, others for each number."""
    return ODD[number % share :: share]


def with_value(raw: Any, place: Sequence[Any], value: Any) -> Any:
    """Return a copy of what JSON holds with another value at a place."""
    made = json.loads(json.dumps(raw))
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return made


def without(raw: Any, place: Sequence[Any]) -> Any:
    """Return a copy of what JSON holds without a field."""
    made = json.loads(json.dumps(raw))
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return made


def places(raw: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every field, of lists their first one."""
    inner = raw.items() if isinstance(raw, dict) else list(enumerate(raw))[:1]
    for key, value in inner:
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))
