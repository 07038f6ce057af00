"""What a device installs: versions and SHA-256, cut out of the set that edgepress is tested with.

The files in `pins/` are written by `scripts/pins.py`, which `make lock` calls.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from export.deployment.platforms import Platform
from runtimes.errors import EdgepressError, MissingDependencyError

__all__ = [
    "OLDEST_PYTHON",
    "Pin",
    "applying",
    "fetch_wheels",
    "pinned_runtimes",
    "pins_of",
    "read_pins",
    "render",
]

OLDEST_PYTHON = (3, 11)
"""For which versions are pinned."""

_PINS = Path(__file__).parent / "pins"
_LINE = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)\s*(?:;\s*(?P<marker>.*?))?\s*")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """A version of a package.

    Attributes:
        name: The package.
        version: The one version.
        marker: Where it is needed; empty: everywhere.
        hashes: `sha256:...` of each of its files.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """As pip reads it."""
        marker = f" ; {self.marker}" if self.marker else ""
        hashes = "".join(f" \\\n    --hash={one}" for one in self.hashes)
        return f"{self.name}=={self.version}{marker}{hashes}\n"


def read_pins(text: str) -> dict[str, Pin]:
    """Return the pins of a file with hashes, such as `requirements.txt`, by name.

    Raises:
        ValueError: A line pins nothing.
    """
    found = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        named = _LINE.fullmatch(line.partition("--hash")[0])
        hashes = tuple(_HASH.findall(line))
        if named is None or not hashes:
            raise ValueError(f"{line!r:.80} pins no version by its hashes")
        pin = Pin(named["name"], named["version"], named["marker"] or "", hashes)
        found[pin.name] = pin
    return found


def pinned_runtimes() -> tuple[str, ...]:
    """Return the runtimes that a device can install, the preferred ones first."""
    from runtimes.registry import artifact_runtimes

    return tuple(name for name in artifact_runtimes() if (_PINS / f"{name}.txt").is_file())


def pins_of(*extras: str) -> dict[str, Pin]:
    """Return what edgepress needs with some of its extras, by name, in order.

    Args:
        extras: Of `onnxruntime`, `openvino` and `serve`.
    """
    found: dict[str, Pin] = {}
    for name in ("device", *extras):
        found |= read_pins((_PINS / f"{name}.txt").read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def applying(pins: Mapping[str, Pin], platform: Platform, python: str) -> dict[str, Pin]:
    """Return the pins that a platform and a Python need, without their markers."""
    from packaging.markers import Marker

    environment = {
        **platform.markers,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return {
        name: Pin(pin.name, pin.version, "", pin.hashes)
        for name, pin in pins.items()
        if not pin.marker or Marker(pin.marker).evaluate(environment)
    }


def render(pins: Iterable[Pin], *more: str) -> str:
    """Return a requirements file."""
    return "".join([*more, *(pin.line for pin in pins)])


def fetch_wheels(file: Path, folder: Path, platform: Platform, python: str) -> None:
    """Download the wheels of a requirements file that has no markers, by pip, each by its SHA-256.

    Raises:
        EdgepressError: A wheel cannot be had; the message is pip's.
        MissingDependencyError: There is no pip.
    """
    kinds = [word for tag in platform.tags for word in ("--platform", tag)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)),
        *("--implementation", "cp", "--python-version", python, *kinds),
        *("--requirement", str(file)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise MissingDependencyError(
            "pip, which fetches the wheels, is not installed here",
            hint=f"{sys.executable} -m ensurepip",
        )
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    raise EdgepressError(
        f"no wheels for {platform.title} and Python {python}; pip says: "
        f"{(said or [done.stderr])[-1].removeprefix('ERROR: ')[-500:]}",
        hint="pip goes by PIP_INDEX_URL and, without a network, by PIP_NO_INDEX and PIP_FIND_LINKS",
    )
