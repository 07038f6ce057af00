"""Cut what a device installs out of requirements.txt: `python -m scripts.pins`, or `make lock`.

A package that needs edgepress's base, or one of its extras for devices, is followed to all that it
needs itself, by the metadata of what is installed here, on whatever platform.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from export.deployment.requirements import Pin, read_pins, render

__all__ = ["NOTE", "cut", "main"]

ROOT = Path(__file__).parents[1]
PINS = ROOT / "export" / "deployment" / "pins"
NOTE = "# Written by scripts/pins.py (`make lock`): cut out of requirements.txt.\n"
EXTRAS = ("onnxruntime", "openvino", "serve")


def cut() -> dict[str, str]:
    """Return the content of each file in `pins`, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = read_pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    asked = {"device": project["dependencies"]}
    asked |= {name: project["optional-dependencies"][name] for name in EXTRAS}
    base = _closure(asked["device"], locked)
    found = {}
    for name, wanted in asked.items():
        pins = _closure(wanted, locked)
        mine = pins if name == "device" else {k: v for k, v in pins.items() if k not in base}
        found[f"{name}.txt"] = render((mine[key] for key in sorted(mine)), NOTE)
    return found


def _closure(wanted: list[str], locked: dict[str, Pin]) -> dict[str, Pin]:
    found: dict[str, Pin] = {}
    left = [Requirement(each) for each in wanted]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name not in locked:  # it is for Pythons that are not pinned for
            continue
        found[name] = locked[name]
        for text in _needs(name):
            needed = Requirement(text)
            if needed.marker is None or not re.search(r"\bextra\b", str(needed.marker)):
                left.append(needed)
    return found


def _needs(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # of another platform
        return []


def main() -> int:
    """Write the files."""
    PINS.mkdir(exist_ok=True)
    for name, content in cut().items():
        (PINS / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
