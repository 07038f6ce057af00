"""The wheel of this very edgepress, made of what is installed: no build tool, no network."""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from runtimes.errors import MissingDependencyError

__all__ = ["write_wheel"]

_PACKAGES = ("benchmarks", "compress", "edgepress", "export", "runtimes")
_WHEEL = "Wheel-Version: 1.0\nGenerator: edgepress\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell


def write_wheel(folder: Path) -> Path:
    """Write the wheel into a folder, and return its path.

    Its packages are those that run now, file by file; its metadata are those of the installation,
    also of one that only points to a source tree (`pip install -e`). The same content gives the
    same bytes.

    Raises:
        MissingDependencyError: edgepress is not installed, but run from a source tree.
    """
    try:
        installed = metadata.distribution("edgepress")
    except metadata.PackageNotFoundError:
        raise MissingDependencyError(
            "edgepress is not installed here, so its version and needs are not known",
            hint="In its source tree: make, or pip install -e .",
        ) from None
    version = installed.version
    files = {**dict(_sources()), **_metadata(installed, f"edgepress-{version}.dist-info")}
    record = f"edgepress-{version}.dist-info/RECORD"
    lines = [f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items()]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()
    path = folder / f"edgepress-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, content)
    return path


def _sources() -> Iterator[tuple[str, bytes]]:
    root = Path(__file__).parents[2]
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path.read_bytes()


def _metadata(installed: metadata.Distribution, folder: str) -> dict[str, bytes]:
    """Return the files that describe a distribution, by name."""
    names = ("METADATA", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
    texts = {name: installed.read_text(name) for name in names}
    found = {f"{folder}/{name}": text.encode() for name, text in texts.items() if text is not None}
    return {**found, f"{folder}/WHEEL": _WHEEL.encode()}


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
