"""Unpacks what `edgepress deploy` packed, and nothing that would reach beyond its folder."""

import gzip
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from runtimes.errors import ArtifactError, UsageError
from runtimes.folders import partial_folder

__all__ = ["MOST_BYTES", "MOST_FILES", "unpack"]

MOST_BYTES = 4 << 30
"""Bytes that an archive may hold, unpacked, unless somebody asks for more."""
MOST_FILES = 10_000

_SUMS = "SHA256SUMS"
_RATIO = 100  # weights and wheels hardly get smaller; what gets a thousandth is made of nothing
_SMALL = 64 << 20  # bytes below which nobody cares
_PIECE = 1 << 20
_LONGEST = 1000  # characters of a path


def unpack(
    file: str | os.PathLike[str], to: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES
) -> Path:
    """Unpack a `.tar.gz` of one folder, and compare its files with its `SHA256SUMS` if it has any.

    Nothing is written outside of `to`, which appears whole or not at all: paths that are absolute
    or lead upwards, links, devices, names that come twice, and archives that grow too much are
    refused before or while they are read.

    Args:
        file: The archive.
        to: The folder to make.
        most_bytes: Refuse more than this, unpacked.

    Returns:
        The folder.

    Raises:
        ArtifactError: It is no such archive, or one that is refused.
        UsageError: `to` exists.
    """
    file, target = Path(file), Path(os.path.abspath(to))  # noqa: PTH100 - follows no link at its end
    if os.path.lexists(target):
        raise UsageError(f"{target} exists; nothing was touched", hint="name a folder that is new")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        most = min(most_bytes, max(_SMALL, file.stat().st_size * _RATIO))
        with file.open("rb") as raw, partial_folder(target) as partial:
            content = partial / "content"
            content.mkdir()
            for member, source in _members(file, raw, most):
                _write(content.joinpath(*member.parts[1:]), source)
            if not any(content.iterdir()):
                raise ArtifactError(f"{file} holds no file")
            _compare(file, content)
            content.rename(target)
    except (tarfile.TarError, EOFError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"{file} cannot be unpacked: {reason}") from error
    return target


class _Bounded:
    """Reads a stream of which no more than so many bytes may come."""

    def __init__(self, file: Path, stream: gzip.GzipFile, most: int) -> None:
        self._file, self._stream, self._left = file, stream, most

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise ArtifactError(
                f"{self._file} holds more than it may, unpacked",
                hint="if you know what it is: unpack it with tar",
            )
        return found


def _members(
    file: Path, raw: IO[bytes], most: int
) -> Iterator[tuple[PurePosixPath, "IO[bytes] | None"]]:
    """Go through an archive in its order: paths with their content, None of a folder."""
    seen: set[str] = set()
    root = ""
    # Headers and padding count as well; a stream cannot go back to a member that was checked.
    bounded = _Bounded(file, gzip.GzipFile(fileobj=raw, mode="rb"), most + MOST_FILES * 1024)
    with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
        for entry in archive:
            path = PurePosixPath(entry.name)
            problem = _problem(entry, path, seen, root)
            if problem is None and entry.size > most:
                problem = f"has {entry.size:,} bytes"
            if problem is not None:
                raise ArtifactError(f"{file}: {entry.name!r:.200} {problem}; nothing was unpacked")
            seen.add(os.path.normcase(str(path)))
            root = path.parts[0]
            yield path, None if entry.isdir() else archive.extractfile(entry)


def _problem(entry: tarfile.TarInfo, path: PurePosixPath, seen: set[str], root: str) -> str | None:
    """Say why a member is refused; None where it is not."""
    name, parts = entry.name, path.parts
    refused = {
        "is no relative path": path.is_absolute() or not parts or any(c in name for c in ":\\\0"),
        "leads upwards": ".." in name.split("/"),
        "is too long": len(name) > _LONGEST,
        "is neither a file nor a folder": not (entry.isreg() or entry.isdir()) or entry.issparse(),
        "comes twice": os.path.normcase(str(path)) in seen,
        f"is beyond the {MOST_FILES:,}th": len(seen) >= MOST_FILES,
        f"is not in {root}": bool(root) and parts[:1] != (root,),
        "is not in a folder": len(parts) == 1 and not entry.isdir(),
    }
    return next((words for words, applies in refused.items() if applies), None)


def _write(path: Path, source: "IO[bytes] | None") -> None:
    if source is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as copy:
        shutil.copyfileobj(source, copy, _PIECE)
    with path.open("rb") as copy:
        if copy.read(2) == b"#!":
            path.chmod(0o755)


def _compare(file: Path, folder: Path) -> None:
    """Compare files with the sums that came along.

    Raises:
        ArtifactError: One is missing, changed, or not listed.
    """
    if not (folder / _SUMS).is_file():
        return
    lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    del there[_SUMS]
    for name in sorted(listed.keys() | there.keys()):
        digest = hashlib.sha256()
        if name in there:
            with there[name].open("rb") as content:
                while piece := content.read(_PIECE):
                    digest.update(piece)
        if listed.get(name) != digest.hexdigest():
            raise ArtifactError(f"{file}: {name} is not what {_SUMS} lists; nothing was unpacked")
