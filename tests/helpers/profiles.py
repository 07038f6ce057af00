"""Devices that are none: profiles of what sizes cost as a test says, and what is not installed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.profiling.kit import Kit, Shape
from benchmarks.profiling.profile import DeviceProfile, KitFacts, Raced, Timed
from benchmarks.roofline import Peaks

__all__ = ["ABSENT", "Setting", "profile_of"]

ABSENT = [
    "accelerate", "compress", "datasets", "export", "huggingface_hub", "jinja2", "nncf", "onnx",
    "openvino", "optimum", "pandas", "psutil", "pydantic", "requests", "rich", "safetensors",
    "scipy", "sklearn", "torch", "transformers", "typer", "yaml",
]  # fmt: skip
"""What of the full tool a device lacks."""

Setting = tuple[str, str, int]
"""Runtime, scheme and threads."""


def profile_of(
    kit: Kit,
    costs: Mapping[Setting, Callable[[Shape], float]],
    *,
    flags: Sequence[str] = ("avx2",),
    exact: Mapping[str, bool | None] | None = None,
    **changes: Any,
) -> DeviceProfile:
    """Return the profile of a device with these settings, given their costs by a probe's shape."""
    race = [
        Raced(*setting[:2], "int8", setting[2], tuple(cost(kit.shapes[i]) for i in kit.race))
        for setting, cost in costs.items()
    ]
    race.sort(key=lambda one: one.pace)
    fastest = {one.runtime: one for one in reversed(race)}
    tables = [
        Timed(*one.setting, tuple(map(costs[one.setting], kit.shapes)), watched=True)
        for one in race
        if fastest[one.runtime] is one
    ]
    values: dict[str, Any] = {
        "device": "a board",
        "device_key": "0123456789abcdef",
        "environment": {"cpu": {"model": "Cortex-A72", "flags": list(flags), "cores_usable": 4}},
        "kit": KitFacts.of(kit),
        "exact": {one.runtime: True for one in race} if exact is None else exact,
        "peaks": (Peaks(1, {"fp32": 10.0, "int8": 20.0}, ((1 << 20, 5.0),)),),
        "tokenize_ms": 0.05,
        "race": tuple(race),
        "race_doubt": "",
        "tables": tuple(tables),
        "created": "2026-01-02T03:04+00:00",
    }
    return DeviceProfile(**{**values, **changes})
