"""Latency tables of other devices, fitted to what was measured there."""

from dataclasses import replace

import numpy as np

from benchmarks.profiling.profile import Choice, DeviceProfile
from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.errors import ProfileError
from compress.latency.measurement import shared_sizes, table_of
from compress.latency.probe import largest_of
from compress.latency.table import LatencyTable

__all__ = ["check_sizes", "device_table"]

_OF_THIS = "make a kit of this model: edgepress profile kit MODEL --data DATA --out kit"


def check_sizes(profile: DeviceProfile, config: LeanEncoderConfig) -> None:
    """Refuse a profile that was measured for a model of other sizes.

    Args:
        profile: Of a device.
        config: The largest model that a table is wanted for.

    Raises:
        ProfileError: Its probes share other sizes with it, or are smaller.
    """
    theirs, ours = profile.kit.sizes, shared_sizes(config)
    differs = [name for name in ours if theirs.get(name) != ours[name]]
    if differs:
        name = differs[0]
        raise ProfileError(
            f"the device profile was measured for a model of other sizes ({profile.kit.model}: "
            f"{name} is {theirs.get(name)!r:.60} instead of {ours[name]!r:.60})",
            hint=_OF_THIS,
        )
    probes = _layers(profile)
    needed, there = largest_of(config.layer_sizes), largest_of([s for of in probes for s in of])
    same = needed.head_size == there.head_size and needed.heads == there.heads
    same = same and needed.intermediate_size == there.intermediate_size
    if not same or len(config.layers) != max(map(len, probes)):
        raise ProfileError(
            f"the device profile was measured for a model of other layers ({profile.kit.model}: "
            f"{max(map(len, probes))} of {there.heads} heads and {there.intermediate_size} neurons "
            f"instead of {len(config.layers)} of {needed.heads} and {needed.intermediate_size})",
            hint=_OF_THIS,
        )


def device_table(profile: DeviceProfile, choice: Choice, config: LeanEncoderConfig) -> LatencyTable:
    """Return what sizes cost on a device, in one of its settings.

    Args:
        profile: Of the device, for a model of these sizes.
        choice: The setting.
        config: The largest model that the table is for.
    """
    ms = choice.factor * np.asarray(choice.table.ms, dtype=np.float64)
    table = table_of(config, _layers(profile), ms)
    return replace(
        table,
        measured=profile.created,
        doubt=choice.table.doubt or profile.race_doubt,
        watched=choice.table.watched,
    )


def _layers(profile: DeviceProfile) -> list[tuple[LayerSizes, ...]]:
    return [tuple(LayerSizes(*sizes) for sizes in shape) for shape in profile.kit.shapes]
