"""The artifact folder: its manifest, reading, checking and atomic writing.

An artifact is self-contained: model files for one or more runtimes, the tokenizer, and
`manifest.json`, which is written last and lists every other file with its SHA-256. A folder without
a readable manifest is therefore never half an artifact: it is none.
"""

import dataclasses
import hashlib
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from runtimes.errors import ArtifactError
from runtimes.files import OpenFile, read_file
from runtimes.folders import locked, partial_folder, remove
from runtimes.json_files import MOST_BYTES, parse_json
from runtimes.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Manifest,
    ModelEntry,
    is_intact,
    parse,
    render,
)
from runtimes.versions import installed_version

__all__ = [
    "CHECKS_NAME",
    "DETAILS_NAME",
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "OPTIONAL",
    "SIGNATURE_NAME",
    "TUNING_NAME",
    "ArtifactFile",
    "Manifest",
    "ModelEntry",
    "parse_manifest",
    "previous_of",
    "read_content",
    "read_manifest",
    "removed_files",
    "verify",
    "write_artifact",
]

DETAILS_NAME = "edgepress.json"
"""What only this tool understands: the sizes of each layer, under `encoder`. `config.json` is the
family's own, for other libraries."""

TUNING_NAME = "tuning.json"
"""What `runtimes.tuning` found, beside the manifest. The manifest does not vouch for it: it belongs
to the device, not to the artifact, and losing it costs a little speed."""

CHECKS_NAME = "checks.npz"
"""The artifact's self-test, see `runtimes.checks`."""

OPTIONAL = frozenset({"README.md", CHECKS_NAME})
"""Files of the manifest that may be edited or removed: nothing that answers needs them."""

# What looking at a folder leaves in it.
_OF_THE_DESKTOP = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read and check `manifest.json` of an artifact (other files: `verify`).

    Raises:
        ArtifactError: `folder` is no artifact, the manifest is damaged, or its format is newer.
    """
    return parse_manifest(folder, read_content(folder))


def read_content(folder: str | os.PathLike[str]) -> bytes:
    """Return the bytes of `manifest.json`, whatever they say.

    Raises:
        ArtifactError: There is none, or it is not a regular file of ordinary size.
    """
    path = Path(folder) / MANIFEST_NAME
    try:
        return read_file(path, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        missing = "does not exist" if not Path(folder).exists() else f"has no {MANIFEST_NAME}"
        raise ArtifactError(
            f"Not an artifact: {folder} {missing}.", hint=_looked_for(Path(folder))
        ) from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ArtifactError(f"{path} {error}.") from error


def _looked_for(folder: Path) -> str:
    nested, previous = folder / "artifact", previous_of(folder)
    if (nested / MANIFEST_NAME).is_file():
        return f"Did you mean {nested}?"
    if not folder.exists() and previous.is_dir():
        return f"Whoever replaced it was stopped in between; what it held is in {previous}"
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        named = shlex.quote(str(folder))
        return f"It is a checkpoint. Make an artifact of it: edgepress {named} --data DATA"
    return "Name an artifact's folder, such as out/artifact."


def parse_manifest(folder: str | os.PathLike[str], content: bytes) -> Manifest:
    """Check what `read_content(folder)` returned.

    Raises:
        ArtifactError: The manifest is damaged, or its format is newer.
    """
    path = Path(folder) / MANIFEST_NAME
    try:
        raw = parse_json(content)
    except ValueError as error:
        raise ArtifactError(f"{path} is damaged: not readable as JSON ({error}).") from error
    # The version comes first: a newer format may digest its manifest in another way.
    version = raw.get("format") if isinstance(raw, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has artifact format {version}; this build reads up to {FORMAT_VERSION}.",
            hint="Install a newer edgepress: `make dist` in its repository builds the wheel.",
        )
    if not is_intact(content):
        raise ArtifactError(
            f"{path} is damaged or was edited: its checksum does not match.",
            hint="Copy the artifact again, or export it anew.",
        )
    try:
        return parse(raw)
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be right: {error}.") from error


def removed_files(folder: str | os.PathLike[str], manifest: Manifest) -> dict[str, set[str]]:
    """Return, by runtime, the files of runtimes that were taken out: none is there any more.

    Where that holds for all of them, nothing was taken out: the artifact is damaged.
    """
    of_runtime: dict[str, set[str]] = {}
    for entry in manifest.models:
        of_runtime.setdefault(entry.runtime, set()).update(manifest.files_of(entry))
    there = {
        runtime: any((Path(folder) / name).exists() for name in names)
        for runtime, names in of_runtime.items()
    }
    if not any(there.values()):
        return {}
    kept = set[str]().union(*(of_runtime[runtime] for runtime, found in there.items() if found))
    return {runtime: of_runtime[runtime] - kept for runtime, found in there.items() if not found}


def previous_of(target: Path) -> Path:
    """Return where `write_artifact` puts the artifact that it replaces, for a moment."""
    target = Path(os.path.realpath(target))
    return target.with_name(f".{target.name}.previous")


def verify(
    folder: str | os.PathLike[str], manifest: Manifest, only: Iterable[str] | None = None
) -> None:
    """Compare files with their SHA-256 in the manifest.

    Args:
        folder: The artifact.
        manifest: What `read_manifest(folder)` returned.
        only: Relative paths to check; None checks every file.

    Raises:
        ArtifactError: A file is missing, truncated or changed; the message names it.
    """
    for name in manifest.files if only is None else only:
        file = ArtifactFile(folder, manifest, name)
        try:
            file.check()
        finally:
            file.close()


class ArtifactFile:
    """A file of an artifact that is held open, and compared with the manifest at each reading.

    Args:
        folder: The artifact.
        manifest: What `read_manifest(folder)` returned.
        name: Path of the file relative to the artifact.
        checked: Whether its SHA-256 is compared. Otherwise only what is written to it later is
            found, by its time stamp.

    Raises:
        ArtifactError: It is not listed, or missing, truncated or changed; the message names it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        manifest: Manifest,
        name: str,
        *,
        checked: bool = True,
    ) -> None:
        self.path = Path(folder) / name
        if name not in manifest.files:
            raise ArtifactError(f"{self.path} is not listed in {Path(folder) / MANIFEST_NAME}.")
        expected = manifest.files[name]
        self._sha256 = expected["sha256"] if checked else None
        try:
            self._file = OpenFile(self.path)
        except (FileNotFoundError, NotADirectoryError):
            raise _damaged(self.path, "is missing") from None
        except OSError as error:
            raise _damaged(self.path, f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise _damaged(self.path, str(error)) from error
        if checked and self._file.size != expected["size_bytes"]:
            size = self._file.size
            self._file.close()
            problem = f"has {size} bytes instead of {expected['size_bytes']}"
            raise _damaged(self.path, problem, hint=_CHANGED)

    def read(self) -> bytes:
        """Return its bytes.

        Raises:
            ArtifactError: They are not those that the manifest vouches for, or were overwritten
                since the file was opened.
        """
        content = self._file.read()
        self._check([content])
        return content

    def check(self) -> None:
        """Read it piece by piece, and keep nothing of it.

        Raises:
            ArtifactError: As `read`.
        """
        self._check(self._file.pieces())

    def check_place(self) -> None:
        """Make sure that its name still leads to it, and that nobody wrote to it: it is mapped.

        Raises:
            ArtifactError: Otherwise.
        """
        self.check_unwritten()
        if not self._file.is_at(self.path):
            raise _damaged(
                self.path, "is not the file that was loaded any more", hint="Load it again."
            )

    def check_unwritten(self) -> None:
        """Make sure that nobody wrote to it since it was opened.

        Raises:
            ArtifactError: Somebody did.
        """
        if self._file.was_written():
            raise _damaged(self.path, "was overwritten after it was loaded", hint="Load it again.")

    def _check(self, content: Iterable[bytes]) -> None:
        if self._sha256 is None:
            self.check_unwritten()
            return
        digest = hashlib.sha256()
        for piece in content:
            digest.update(piece)
        if digest.hexdigest() != self._sha256:
            problem = "was changed: its SHA-256 does not match the manifest"
            raise _damaged(self.path, problem, hint=_CHANGED)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


_DAMAGED = "Copy the artifact again, or export it anew."
_CHANGED = f"{_DAMAGED} If you changed it yourself: load(..., verify=False)."


def _damaged(path: Path, problem: str, hint: str = _DAMAGED) -> ArtifactError:
    return ArtifactError(f"{path} {problem}.", hint=hint)


def write_artifact(
    target: str | os.PathLike[str], manifest: Manifest, populate: Callable[[Path], None]
) -> Manifest:
    """Write an artifact so that `target` holds either the old content or all of the new one.

    Args:
        target: Folder to create; an earlier artifact there is replaced.
        manifest: The manifest without `files`.
        populate: Writes everything but the manifest into the (temporary) folder it is given.

    Returns:
        The manifest with `files`.

    Raises:
        ArtifactError: `target` holds something else than an artifact, or a model of the manifest
            was not written.
    """
    target = Path(target).resolve()  # a link goes on pointing at what it names
    previous = previous_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.parent):
        if previous.exists() and not target.exists():
            previous.rename(target)  # a process was killed between the two renames below
        _check_replaceable(target)
    with partial_folder(target) as partial:
        populate(partial)
        created_by = manifest.created_by or _tool()
        manifest = dataclasses.replace(manifest, files=_hash_files(partial), created_by=created_by)
        for model in manifest.models:
            for name in manifest.files_of(model):
                if name not in manifest.files:
                    raise ArtifactError(f"The manifest names {name}, which was not written.")
        (partial / MANIFEST_NAME).write_bytes(render(manifest))
        for path in [*partial.rglob("*"), partial]:
            _fsync(path)
        with locked(target.parent):
            _check_replaceable(target)
            remove(previous)
            if target.exists():
                target.rename(previous)
            partial.rename(target)
            _fsync(target.parent)
            remove(previous)
    return manifest


def _check_replaceable(target: Path) -> None:
    """Refuse to replace anything that this tool did not write."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    hint = "Choose another folder, or remove it first."
    if not (target / MANIFEST_NAME).is_file():
        raise ArtifactError(
            f"{target} exists and is not an artifact; it was not touched.", hint=hint
        )
    known = {*read_manifest(target).files, MANIFEST_NAME, SIGNATURE_NAME, TUNING_NAME}
    for path in sorted(target.rglob("*")):
        if path.name in _OF_THE_DESKTOP or path.match(f".{TUNING_NAME}.*.partial"):
            continue
        if path.is_file() and (name := path.relative_to(target).as_posix()) not in known:
            raise ArtifactError(
                f"{target} holds {name}, which is not part of the artifact; it was not touched.",
                hint=hint,
            )


def _hash_files(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": _sha256(path),
            "size_bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _tool() -> str:
    version = installed_version("edgepress")  # None where it is run from a source tree
    return "edgepress" if version is None else f"edgepress {version}"


def _fsync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder
    # Windows writes back only what was opened to be written.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
