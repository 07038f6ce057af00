"""A run for another device: its profile decides what would else be measured on this machine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.latency import LatencySettings
from benchmarks.profiling.deployed import NOT_TIMED, TIMED
from benchmarks.profiling.profile import Choice, DeviceProfile
from benchmarks.report import Percentiles, Report, Row
from compress.config.recipe import Recipe
from compress.errors import ProfileError, RecipeError
from compress.search.members import Candidate, Member
from export.quantization import QuantizationPlan
from export.targets.base import FLOAT
from export.targets.registry import default_schemes
from runtimes.artifact import DETAILS_NAME
from runtimes.json_files import read_json
from runtimes.processor import saturates
from runtimes.registry import runtime_title
from runtimes.tuning import Setting, Tried, Tuning, keep_tuning
from runtimes.versions import tool_version

if TYPE_CHECKING:
    from compress.encoder.config import LeanEncoderConfig
    from compress.latency.table import LatencyTable

__all__ = ["ACCURACY_ALONE", "Device", "for_device", "saturating", "without_timings"]

ACCURACY_ALONE = LatencySettings(rounds=0, throughput_inputs=0)
"""Settings of a benchmark that times nothing."""

# Times the fastest setting's latency up to which a runtime's first scheme is preferred to others:
# it is what is known best to keep accuracy, and the race does not tell closer ones apart.
_AS_FAST = 1.03
# Factor by which typical lengths may differ from the profile's.
_OTHER_LENGTHS = 1.25


@dataclass(frozen=True)
class Device:
    """The device that a run is for.

    Attributes:
        profile: What was measured there.
        choice: The setting that models are made for.
        table: What sizes cost there; None before the model is known.
    """

    profile: DeviceProfile
    choice: Choice
    table: "LatencyTable | None" = None

    @property
    def runtime(self) -> str:
        """Name of the runtime that is fastest there."""
        return self.choice.raced.runtime

    def of_model(self, config: "LeanEncoderConfig") -> "Device":
        """Return the device with its table for a model.

        Raises:
            ProfileError: The profile was measured for a model of other sizes.
        """
        from compress.latency.device import check_sizes, device_table

        check_sizes(self.profile, config)
        return replace(self, table=device_table(self.profile, self.choice, config))

    def expected_ms(self, member: Member) -> float:
        """Return the milliseconds from text to answer that a member is expected to take there."""
        from compress.encoder.config import LayerSizes

        assert self.table is not None  # members exist
        layers = read_json(member.artifact / DETAILS_NAME)["encoder"]["layers"]
        sizes = [LayerSizes(**layer) for layer in layers]
        return self.profile.tokenize_ms + self.table.predict(sizes)

    def timed(self, rows: Iterable[Row], candidates: Sequence[Candidate]) -> list[Row]:
        """Return rows with the latency that is expected there in place of this machine's."""
        members = {candidate.row_id: candidate.member for candidate in candidates}
        return [
            replace(
                row,
                speedup=None,
                end_to_end_ms=_point(self.expected_ms(members[row.id])),
            )
            if row.id in members and row.error is None
            else row
            for row in rows
        ]

    def decisions(self) -> tuple[str, ...]:
        """Say what the profile decided."""
        raced, others = self.choice.raced, []
        for name in dict.fromkeys(one.runtime for one in self.profile.race if not one.error):
            best = next(one for one in self.profile.race if one.runtime == name)
            if name != raced.runtime:
                others.append(
                    f"{runtime_title(name)} took {best.pace / raced.pace:.1f} times as long"
                )
        threads = f"{raced.threads} thread{'s' if raced.threads > 1 else ''}"
        instead = f"; {'; '.join(others)}" if others else ""
        said = [
            f"On the device, {runtime_title(raced.runtime)} with {raced.scheme} and {threads} was "
            f"taken for the fastest of {len(self.profile.race)} settings{instead}."
        ]
        if saturating(self.profile, raced.runtime):
            said.append("Weights have 7 bits: sums of 8-bit products may saturate on the device.")
        return tuple(said)

    def notes(self, lengths: "Sequence[int] | None") -> list[str]:
        """Say which figures of the report come from where.

        Args:
            lengths: Tokens of the data's texts, if known.
        """
        profile = self.profile
        said = [
            f"{NOT_TIMED} the models were made for another device ({profile.name}), by its profile "
            f"of {profile.created[:10]}. Accuracy and sizes were measured on this machine; the "
            "milliseconds that are named are expected there, by its latency table. Measure there "
            "with python -m benchmarks run, and add that with edgepress report merge."
        ]
        if self.table is not None and self.table.doubt:
            said.append(
                f"The device was busy when it was measured ({self.table.doubt}): what was made may "
                "not be the best for it. Measure it again when it is quiet."
            )
        if lengths:
            own, theirs = float(np.median(lengths)), float(np.median(profile.kit.lengths))
            if max(own / theirs, theirs / own) > _OTHER_LENGTHS:
                said.append(
                    f"The device was measured on texts of {theirs:.0f} tokens (median), and these "
                    f"have {own:.0f}: a kit made with --data would fit better."
                )
        return said

    def facts(self, expected_ms: Mapping[str, float]) -> dict[str, Any]:
        """Return what the report holds of the device.

        Args:
            expected_ms: By row.
        """
        raced, profile = self.choice.raced, self.profile
        return {
            "name": profile.name,
            "device": profile.device,
            "device_key": profile.device_key,
            "profile": profile.digest,
            "created": profile.created,
            "runtime": raced.runtime,
            "scheme": raced.scheme,
            "threads": raced.threads,
            "tokenize_ms": profile.tokenize_ms,
            "doubt": profile.doubt,
            "exact": dict(profile.exact),
            "expected_ms": {row: round(ms, 4) for row, ms in expected_ms.items()},
        }

    def keep_setting(self, artifact: Path) -> None:
        """Write beside an artifact how it is opened on the device, and there alone."""
        raced = self.choice.raced
        setting = Setting(raced.runtime, raced.precision, raced.threads)
        tried = Tried(setting, round(raced.pace, 4), 1)
        tuning = Tuning(self.profile.device, setting, (tried,), 0, 0.0)
        keep_tuning(artifact, tuning, key=self.profile.device_key)


def for_device(recipe: Recipe, path: Path) -> tuple[Recipe, Device]:
    """Return a recipe that fits a device, and the device.

    Args:
        recipe: As the user gave it. Threads, runtimes and schemes that it names stand.
        path: The device's profile.

    Raises:
        ProfileError: It is none, or of a kit of another version.
        RecipeError: The recipe asks for what was not measured there.
    """
    profile = DeviceProfile.read(path)
    if profile.kit.created_by != tool_version():
        raise ProfileError(
            f"{path} was measured with a kit of edgepress {profile.kit.created_by}; this is "
            f"{tool_version()}, whose models may cost other than those",
            hint="make a new kit: edgepress profile kit MODEL --data DATA --out kit",
        )
    choice = _chosen(recipe, profile)
    raced = choice.raced
    changes: dict[str, Any] = {
        "threads": raced.threads,
        "benchmark": {"runtimes": [raced.runtime], "every_runtime": False},
    }
    if "quantize" in recipe.stages:
        changes["quantize"] = {
            raced.runtime: raced.scheme,
            "reduce_range": recipe.quantize.reduce_range or saturating(profile, raced.runtime),
            # They would be compared by this machine's speed.
            "alternatives": False,
        }
    return recipe.replace(**changes), Device(profile, choice)


def saturating(profile: DeviceProfile, runtime: str) -> bool:
    """Return whether sums of 8-bit products may saturate on a device: it was seen, or its processor
    has no instructions that prevent it."""
    needed = QuantizationPlan().instruction_sets
    return profile.exact.get(runtime) is False or saturates(needed, profile.flags)


def without_timings(report: Report) -> Report:
    """Return a report without what this machine's speed decides: it is not the device's."""
    rows = tuple(replace(row, **{**TIMED, "threads": row.threads}) for row in report.rows)
    method = {name: of for name, of in report.method.items() if name not in ("peaks", "left_out")}
    return replace(report, rows=rows, samples={}, method=method)


def _chosen(recipe: Recipe, profile: DeviceProfile) -> Choice:
    """Return the fastest setting that the recipe allows."""
    quantized, first = "quantize" in recipe.stages, default_schemes()
    insisted = recipe.quantize.schemes if quantized else dict.fromkeys(first, FLOAT)
    fits = [
        choice
        for choice in profile.choices()
        if (recipe.competing is None or choice.raced.runtime in recipe.competing)
        and recipe.threads in (None, choice.raced.threads)
        and insisted.get(choice.raced.runtime)
        in (
            choice.raced.scheme,
            first.get(choice.raced.runtime) if quantized else None,
        )
    ]
    if not fits:
        there = "; ".join(
            f"{choice.raced.runtime} {choice.raced.scheme} with {choice.raced.threads} threads"
            for choice in profile.choices()[:6]
        )
        raise RecipeError(
            "the device profile has no figures for the runtime, scheme and threads that are asked "
            f"for; it has: {there}",
            hint="leave the choice to it, or measure that there: python -m benchmarks profile kit "
            "--threads N --out FILE.json",
        )
    level = [one for one in fits if one.raced.pace <= _AS_FAST * fits[0].raced.pace]
    usual = [one for one in level if one.raced.scheme == first.get(one.raced.runtime)]
    return (usual or level)[0]


def _point(ms: float) -> Percentiles:
    """Return a figure that was predicted: there is no spread of it."""
    return Percentiles(ms, ms, None, 0, ms, ms)
