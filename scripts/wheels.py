"""Ask the package index which wheels there are for whom: `python -m scripts.wheels`, by pip.

It rewrites the tables of docs/deploy/install.md, with the date. Nothing is downloaded but what the
index says of the newest file that fits: pip resolves, without installing. A constraint of pip's
own configuration would count; `PIP_CONFIG_FILE=/dev/null` leaves it out.
"""

import datetime
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from export.deployment.platforms import PLATFORMS, Platform
from export.deployment.requirements import applying, pins_of, render

__all__ = ["PACKAGES", "PAGE", "PYTHONS", "main", "newest", "tables"]

PAGE = Path(__file__).parents[1] / "docs" / "deploy" / "install.md"
PACKAGES = ("numpy", "tokenizers", "onnxruntime", "openvino", "torch")
PYTHONS = ("3.10", "3.12", "3.14")
_PINNED_FOR = "3.12"
# What would be installed: nothing is, nor downloaded.
_LOOKING = (
    *("install", "--quiet", "--dry-run", "--ignore-installed", "--target", "nowhere", "--no-deps"),
)
_PLACE = re.compile(r"(?<=<!-- scripts/wheels.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def newest(package: str, platform: Platform, python: str) -> str | None:
    """Return the newest version of a package that has a wheel; None where none has."""
    # pip compares a wheel's own Requires-Python with the Python that runs it; tags say the same.
    done = _pip(
        *_LOOKING, "--ignore-requires-python", "--report", "-", package, *_for(platform, python)
    )
    if done.returncode == 0:
        [found] = json.loads(done.stdout)["install"]
        return str(found["metadata"]["version"])
    if "No matching distribution found" not in done.stderr:
        raise SystemExit(f"{package}: {done.stderr}")  # no index, no network
    return None


def installs(platform: Platform, python: str, *extras: str) -> bool:
    """Return whether the pinned set of some extras has wheels, all of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        pins = applying(pins_of(*extras), platform, python)
        file.write_text(render(pins.values()), encoding="utf-8")
        done = _pip(
            *_LOOKING, "--require-hashes", "--requirement", str(file), *_for(platform, python)
        )
    known = ("No matching distribution found", "THESE PACKAGES DO NOT MATCH")
    if done.returncode and not any(each in done.stderr for each in known):
        raise SystemExit(done.stderr)
    return done.returncode == 0


def tables() -> Iterator[str]:
    """Yield the lines of the tables."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    for python in PYTHONS:
        yield f"Newest wheels for Python {python} ({today}):"
        yield ""
        yield f"| platform | {' | '.join(PACKAGES)} |"
        yield f"| --- |{' --- |' * len(PACKAGES)}"
        for platform in PLATFORMS.values():
            found = [newest(package, platform, python) or "none" for package in PACKAGES]
            yield f"| {platform.title} | {' | '.join(found)} |"
        yield ""
    yield f"Whether all wheels of the pinned set exist, for Python {_PINNED_FOR} ({today}):"
    yield ""
    yield "| platform | with ONNX Runtime | with OpenVINO | `serve` |"
    yield "| --- | --- | --- | --- |"
    for platform in PLATFORMS.values():
        cells = [
            "yes" if installs(platform, _PINNED_FOR, extra) else "no"
            for extra in ("onnxruntime", "openvino", "serve")
        ]
        yield f"| {platform.title} | {' | '.join(cells)} |"


def _for(platform: Platform, python: str) -> list[str]:
    kinds = [word for tag in platform.tags for word in ("--platform", tag)]
    return ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *kinds]


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> int:
    """Rewrite the page."""
    lines = [f"{line}\n" for line in tables()]
    text, count = _PLACE.subn("".join(["\n", *lines, "\n"]), PAGE.read_text(encoding="utf-8"))
    assert count == 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
