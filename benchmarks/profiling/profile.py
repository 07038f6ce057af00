"""A device's profile: what `python -m benchmarks profile` found there, in one JSON file."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.profiling.kit import Kit, Shape, Sizes, checksum, numbers, shapes_from
from benchmarks.roofline import Peaks
from benchmarks.typed import built
from runtimes.errors import ModelError, ProfileError
from runtimes.folders import write_text
from runtimes.json_files import read_json
from runtimes.registry import artifact_runtimes

__all__ = ["Choice", "DeviceProfile", "KitFacts", "Raced", "Timed"]

_FORMAT, _KIND = 1, "edgepress device profile"
_AGAIN = "make it again, on the device: python -m benchmarks profile KIT --out FILE.json"
_LARGEST_MS = 1e6
_MOST = 1000  # settings, tables
_Setting = TypeVar("_Setting", "Raced", "Timed")


@dataclass(frozen=True)
class KitFacts:
    """What a profile keeps of the kit that it was measured with.

    Attributes:
        digest: Of the kit.
        created_by: Version of the tool that wrote it.
        model: Name of the model that it was written for.
        sizes: What its probes share with that model.
        lengths: Tokens of the texts that were timed.
        shapes: Sizes of all probes.
        race: Places of those that settings were compared by.
    """

    digest: str
    created_by: str
    model: str
    sizes: Sizes
    lengths: tuple[int, ...]
    shapes: tuple[Shape, ...]
    race: tuple[int, ...]

    @classmethod
    def of(cls, kit: Kit) -> "KitFacts":
        """Return the facts of a kit."""
        return cls(
            kit.digest, kit.created_by, kit.model, kit.sizes, kit.lengths, kit.shapes, kit.race
        )


@dataclass(frozen=True)
class Raced:
    """A setting that others were compared with.

    Attributes:
        runtime: Name of the runtime.
        scheme: Of quantization.
        precision: What the models were opened in.
        threads: CPU threads.
        ms: Milliseconds of each probe of the race; none where it failed.
        error: Why it failed; "" where it did not.
    """

    runtime: str
    scheme: str
    precision: str
    threads: int
    ms: tuple[float, ...] = ()
    error: str = ""

    @property
    def pace(self) -> float:
        """Geometric mean of its milliseconds, by which settings are ranked; infinite if failed."""
        return float(np.exp(np.log(self.ms).mean())) if self.ms else math.inf

    @property
    def setting(self) -> tuple[str, str, int]:
        """Runtime, scheme and threads."""
        return self.runtime, self.scheme, self.threads


@dataclass(frozen=True)
class Timed:
    """Times of the probes in one setting, which a latency table is fitted to.

    Attributes:
        runtime: Name of the runtime.
        scheme: Of quantization.
        threads: CPU threads.
        ms: Milliseconds of each of the kit's shapes.
        doubt: Why they are not to be relied on; "" where they are.
        watched: Whether the system told meanwhile who uses its cores.
        rounds: How often each was timed, at most.
    """

    runtime: str
    scheme: str
    threads: int
    ms: tuple[float, ...]
    doubt: str = ""
    watched: bool = False
    rounds: int = 0


@dataclass(frozen=True)
class Choice:
    """A setting that a family is to be made for.

    Attributes:
        raced: The setting.
        table: What its latency table is fitted to.
        factor: That its times are to be taken by: 1 where they are of the setting's own scheme.
    """

    raced: Raced
    table: Timed
    factor: float


@dataclass(frozen=True)
class DeviceProfile:
    """What was measured on a device.

    Attributes:
        device: `runtimes.fingerprint.describe_device()` there.
        device_key: `runtimes.fingerprint.device_key()` there.
        environment: `benchmarks.environment.describe_environment()` there.
        kit: What was measured.
        exact: By runtime, whether sums of 8-bit products are exact there; None: not known.
        peaks: By count of threads.
        tokenize_ms: Median milliseconds to tokenize a text.
        race: Settings that were compared, the fastest first; those that failed last.
        race_doubt: Why their order is not to be relied on; "" where it is.
        tables: Of the fastest setting of each runtime, the fastest first.
        created: When, ISO 8601 in UTC.
        digest: SHA-256 of all of the above.
    """

    device: str
    device_key: str
    environment: Mapping[str, Any]
    kit: KitFacts
    exact: Mapping[str, bool | None]
    peaks: tuple[Peaks, ...]
    tokenize_ms: float
    race: tuple[Raced, ...]
    race_doubt: str
    tables: tuple[Timed, ...]
    created: str
    digest: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The device's processor, for people."""
        cpu = self.environment.get("cpu") or {}
        return str(cpu.get("model") or cpu.get("architecture") or "an unnamed device")

    @property
    def flags(self) -> Collection[str]:
        """Instruction sets of the device's processor that matter."""
        flags = (self.environment.get("cpu") or {}).get("flags") or ()
        return frozenset(map(str, flags))

    @property
    def doubt(self) -> str:
        """Why its figures are not to be relied on; "" where they are."""
        doubts = (self.race_doubt, *(table.doubt for table in self.tables))
        return next((doubt for doubt in doubts if doubt), "")

    def choices(self) -> list[Choice]:
        """Return the settings that there is a latency table for, the fastest first."""
        found = []
        for raced in self.race:
            tables = [t for t in self.tables if (t.runtime, t.threads) == raced.setting[::2]]
            if raced.error or not tables:
                continue
            own = [table for table in tables if table.scheme == raced.scheme]
            table = (own or tables)[0]
            of_table = next(
                each
                for each in self.race
                if each.setting == (table.runtime, table.scheme, table.threads)
            )
            found.append(Choice(raced, table, 1.0 if own else raced.pace / of_table.pace))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, with their checksum."""
        values = {"kind": _KIND, "format": _FORMAT, **asdict(self)}
        del values["digest"]
        values = json.loads(json.dumps(values, allow_nan=False))
        return {**values, "digest": checksum(values)}

    def save(self, path: Path) -> None:
        """Write it; either all of it is there afterwards, or the old one still is."""
        write_text(path, json.dumps(self.to_json(), allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> "DeviceProfile":
        """Read what `save` wrote.

        Raises:
            ProfileError: There is no profile, it is damaged, or of another format.
        """
        try:
            values = read_json(path)
        except ModelError as error:
            raise ProfileError(
                f"the device profile cannot be read: {error.message}", hint=_AGAIN
            ) from error
        if not values:
            raise ProfileError(f"{path}: there is no device profile", hint=_AGAIN)
        if values.get("kind") != _KIND:
            raise ProfileError(f"{path} is no device profile of edgepress", hint=_AGAIN)
        if values.get("format") != _FORMAT:
            raise ProfileError(
                f"{path} has format {values.get('format')!r:.20}; this edgepress reads {_FORMAT}",
                hint=_AGAIN,
            )
        if values.pop("digest", None) != (digest := checksum(values)):
            raise ProfileError(
                f"{path} is damaged, or was changed: its checksum does not fit it", hint=_AGAIN
            )
        try:
            return cls._from_json(values, digest)
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise ProfileError(f"{path} is damaged: {error!s:.200}", hint=_AGAIN) from error

    @classmethod
    def _from_json(cls, values: Mapping[str, Any], digest: str) -> "DeviceProfile":
        of_kit = values["kit"]
        shapes = shapes_from(of_kit["shapes"])
        race = numbers(of_kit["race"], least=0, most=len(shapes) - 1)
        kit = built(
            KitFacts,
            {
                **of_kit,
                "shapes": shapes,
                "race": race,
                "lengths": numbers(of_kit["lengths"], least=1, most=1_000_000),
            },
        )
        if not all(exact in (True, False, None) for exact in values["exact"].values()):
            raise ValueError("exact is neither true nor false")
        found = built(
            cls,
            {
                **values,
                "kit": kit,
                "peaks": tuple(Peaks.from_json(each) for each in values["peaks"]),
                "race": tuple(_raced(each, len(race)) for each in _list(values["race"])),
                "tables": tuple(_timed(each, len(shapes)) for each in _list(values["tables"])),
                "digest": digest,
            },
        )
        if not 0 <= found.tokenize_ms <= _LARGEST_MS:
            raise ValueError(f"tokenize_ms is {found.tokenize_ms}")
        paces = [one.pace for one in found.race]
        if paces != sorted(paces) or not found.choices():
            raise ValueError("no setting was measured, or they are out of order")
        return found


def _list(values: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(values, list) or not 0 < len(values) <= _MOST:
        raise ValueError("a list is missing")
    return values


def _raced(values: Mapping[str, Any], count: int) -> Raced:
    found = built(Raced, {**values, "ms": _milliseconds(values["ms"])})
    if len(found.ms) != (0 if found.error else count):
        raise ValueError("a setting was not measured on every probe of the race")
    return _sound(found)


def _timed(values: Mapping[str, Any], count: int) -> Timed:
    found = built(Timed, {**values, "ms": _milliseconds(values["ms"])})
    if len(found.ms) != count:
        raise ValueError("a table does not hold every probe")
    return _sound(found)


def _sound(found: _Setting) -> _Setting:
    if found.runtime not in artifact_runtimes() or not 1 <= found.threads <= 10_000:
        raise ValueError(f"no runtime {found.runtime!r:.40} has {found.threads} threads")
    return found


def _milliseconds(values: Any) -> tuple[float, ...]:
    ms = tuple(values) if isinstance(values, list) else ()
    if not all(type(each) in (int, float) and 0 < each < _LARGEST_MS for each in ms):
        raise ValueError("a time is no number of milliseconds")
    return ms
