"""Which runtime, precision, threads and session settings answer fastest on this device.

The right ones depend on the processor, the versions of the libraries and the lengths of the texts:
they are measured where the artifact runs. What was found is kept in `tuning.json` beside the
manifest, by device, and `runtimes.load` goes by it. Needs no PyTorch.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtimes.artifact import TUNING_NAME, read_manifest
from runtimes.base import TextInput
from runtimes.cores import usable_cores
from runtimes.errors import (
    ArtifactError,
    EdgepressError,
    MissingDependencyError,
    ModelError,
    UsageError,
)
from runtimes.fingerprint import describe_device, device_key
from runtimes.folders import write_text
from runtimes.json_files import read_json
from runtimes.manifest import Manifest
from runtimes.registry import get_runtime

if TYPE_CHECKING:
    from runtimes.pipeline import Predictor

__all__ = [
    "Setting",
    "Tried",
    "Tuning",
    "candidates",
    "install_hint",
    "keep_tuning",
    "read_tuning",
    "time_turn",
    "tune",
]

_FORMAT = 1
_ROUNDS, _ROUND_TEXTS = 12, 16  # at most; texts a turn
# Times the fastest one's latency above which a setting is not measured again.
_LEFT_BEHIND = 1.25


@dataclass(frozen=True)
class Setting:
    """One way to open an artifact.

    Attributes:
        runtime: Its name.
        precision: Of the artifact's models, which.
        threads: Within an operation.
        options: The runtime's own, of its `TUNABLE`.
    """

    runtime: str
    precision: str
    threads: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tried:
    """A setting and what it came to.

    Attributes:
        setting: What was opened.
        p50_ms: Median milliseconds from text to answer, of the rounds' medians the median; None
            where it could not be run.
        rounds: How often it took its turn.
        error: Why it could not be run.
    """

    setting: Setting
    p50_ms: float | None
    rounds: int
    error: str | None = None


@dataclass(frozen=True)
class Tuning:
    """What was found for one device.

    Attributes:
        device: `describe_device()`.
        best: The fastest setting.
        tried: All of them, the fastest first.
        texts: How many texts they were measured on.
        created: When, seconds since 1970.
    """

    device: str
    best: Setting
    tried: tuple[Tried, ...]
    texts: int
    created: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def tune(
    folder: str | os.PathLike[str],
    texts: Sequence[TextInput],
    *,
    open_with: "Callable[..., Predictor]",
    seconds: float = 60.0,
    save: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Tuning:
    """Measure every setting of an artifact on this device's CPU, in turns.

    In a round each setting that is still in the race answers the same texts; those left behind the
    fastest drop out. A session is opened for its turn alone: threads of an open one may keep a core
    busy for a while.

    Args:
        folder: The artifact.
        texts: What it will be asked, with the lengths that it will meet.
        open_with: Opens the artifact: `runtimes.load`.
        seconds: No round starts after this long. The first one, in which each setting answers
            once, takes as long as it takes: some seconds with few cores.
        save: Whether to write `tuning.json`.
        progress: Told of the share of the time that is over.

    Raises:
        UsageError: There are no texts.
        EdgepressError: The artifact cannot be read, or no setting can be run.
        OSError: `tuning.json` cannot be written.
    """
    if len(texts) == 0:
        raise UsageError("tuning needs some texts of the kind that the model will be asked")
    folder = Path(folder)
    racing = candidates(read_manifest(folder))
    found: list[list[float]] = [[] for _ in racing]
    alive = list(range(len(racing)))
    failures: dict[int, str] = {}
    start = time.monotonic()
    for number in range(_ROUNDS):
        chosen = _spread(texts, number)
        for place in list(alive):
            if progress is not None:
                progress(min(1.0, (time.monotonic() - start) / seconds))
            try:
                found[place].append(time_turn(_opener(open_with, folder, racing[place]), chosen))
            except Exception as error:  # noqa: BLE001 - whatever a library raises, others may do
                failures[place] = getattr(error, "message", f"{type(error).__name__}: {error}")
                alive.remove(place)
        if not alive:
            reasons = "; ".join(dict.fromkeys(failures.values()))
            raise ArtifactError(f"no setting can run {folder}: {reasons}")
        medians = {place: float(np.median(found[place])) for place in alive}
        fastest = min(medians.values())
        alive = [place for place in alive if medians[place] <= _LEFT_BEHIND * fastest]
        if len(alive) == 1 or time.monotonic() - start >= seconds:
            break
    tried = [
        Tried(setting, None, len(found[place]), failures[place])
        if place in failures
        else Tried(setting, float(np.median(found[place])), len(found[place]))
        for place, setting in enumerate(racing)
    ]
    # Most rounds first: those that fell behind were measured when the machine was another.
    tried.sort(key=lambda one: (one.error is not None, -one.rounds, one.p50_ms or 0.0))
    tuning = Tuning(describe_device(), tried[0].setting, tuple(tried), len(texts), time.time())
    if save:
        keep_tuning(folder, tuning)
    return tuning


def candidates(manifest: Manifest) -> list[Setting]:
    """Return the settings worth measuring: runtimes that are installed, with one thread and more.

    Raises:
        EdgepressError: None of the artifact's runtimes is installed.
    """
    cores = usable_cores()
    threads = [n for n in (1, 2, 4, 8, 16, 32) if n < cores] + [cores]
    settings, reasons = [], list[str]()
    for runtime, precision in dict.fromkeys((m.runtime, m.precision) for m in manifest.models):
        module = get_runtime(runtime)
        usable = [device for device in module.devices() if device.device == "cpu"]
        if not any(device.available for device in usable):
            reasons += [device.detail for device in usable]
            continue
        settings += [
            Setting(runtime, precision, count, options)
            for count in threads
            for options in module.TUNABLE
        ]
    if not settings:
        raise MissingDependencyError(
            f"no runtime of the artifact can be used here: {' '.join(dict.fromkeys(reasons))}",
            hint=install_hint(dict.fromkeys(model.runtime for model in manifest.models)),
        )
    return settings


def install_hint(runtimes: Iterable[str]) -> str:
    """Return the commands that would bring one of these runtimes."""
    packages = [get_runtime(name).DISTRIBUTIONS[0] for name in runtimes]
    return "Install one: " + "  or  ".join(f"pip install {package}" for package in packages)


def time_turn(
    opener: "Callable[[], Predictor]",
    texts: Sequence[TextInput],
) -> float:
    """Return the median milliseconds from text to answer, in a session opened for this alone.

    All texts are run twice, of which the second time counts: libraries allocate and compile for
    each length that they have not met.

    Raises:
        EdgepressError: The session cannot be opened.
    """
    timings = []
    with opener() as predictor:
        for text in texts:
            predictor(text)
        for text in texts:
            start = time.perf_counter()
            predictor(text)
            timings.append(time.perf_counter() - start)
    return 1000.0 * float(np.median(timings))


def read_tuning(folder: str | os.PathLike[str]) -> Setting | None:
    """Return what was found fastest for this device; None where nothing was measured on it.

    A file that cannot be read counts as none: tuning is a convenience.
    """
    devices = _devices(Path(folder))
    if not devices:
        return None
    try:
        setting = Setting(**devices[device_key()]["best"])
        known = get_runtime(setting.runtime).TUNABLE
    except (KeyError, TypeError, EdgepressError):
        return None
    # None that was measured here has more threads than cores.
    sound = type(setting.threads) is int and 1 <= setting.threads <= usable_cores()
    return setting if sound and setting.options in known else None


def _spread(texts: Sequence[TextInput], number: int) -> list[TextInput]:
    """Return some of the texts, other ones each round, of all lengths."""
    by_length = sorted(texts, key=lambda text: len(str(text)))  # also of what a task takes else
    step = max(1, len(by_length) // _ROUND_TEXTS)
    return by_length[number % step :: step][:_ROUND_TEXTS]


def _opener(
    open_with: "Callable[..., Predictor]", folder: Path, setting: Setting
) -> "Callable[[], Predictor]":
    return lambda: open_with(
        folder,
        runtime=setting.runtime,
        precision=setting.precision,
        threads=setting.threads,
        options=setting.options,
        verify=False,
    )


def _devices(folder: Path) -> dict[str, Any]:
    try:
        content = read_json(folder / TUNING_NAME)
    except ModelError:
        return {}
    devices = content.get("devices") if content.get("format") == _FORMAT else None
    return devices if isinstance(devices, dict) else {}


def keep_tuning(folder: Path, tuning: Tuning, *, key: str | None = None) -> None:
    """Add a device to those that the file knows; all of it is there afterwards, or the old.

    Args:
        folder: The artifact.
        tuning: What was found.
        key: `device_key()` on the device; None is this one.
    """
    devices = {**_devices(folder), key or device_key(): tuning.to_json()}
    text = json.dumps({"format": _FORMAT, "devices": devices}, indent=2)
    write_text(folder / TUNING_NAME, text + "\n")
