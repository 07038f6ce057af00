"""What lies in an artifact's folder: file by file, whether it is as the manifest lists it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtimes.artifact import (
    CHECKS_NAME,
    DETAILS_NAME,
    MANIFEST_NAME,
    OPTIONAL,
    SIGNATURE_NAME,
    TUNING_NAME,
    Manifest,
    read_content,
    read_manifest,
    removed_files,
    verify,
)
from runtimes.errors import ArtifactError, MissingDependencyError
from runtimes.json_files import parse_json
from runtimes.manifest import parse
from runtimes.pooling import MODULES, SENTENCE_LIMIT
from runtimes.registry import runtime_title
from runtimes.signatures import check_signed, fingerprint, read_public_keys

__all__ = ["FileState", "Inventory", "State", "take_inventory"]

State = Literal["as listed", "changed", "missing", "not listed"]

_KNOWN = {
    MANIFEST_NAME: "the list of the others",
    SIGNATURE_NAME: "signature of the list",
    TUNING_NAME: "settings measured on a device",
    "README.md": "model card",
    DETAILS_NAME: "sizes of each layer",
    CHECKS_NAME: "self-test",
    "config.json": "configuration of the model",
    "tokenizer.json": "tokenizer",
    "tokenizer_config.json": "configuration of the tokenizer",
    MODULES: "how sentences are embedded",
    SENTENCE_LIMIT: "longest input",
    "1_Pooling/config.json": "how vectors are pooled",
}


@dataclass(frozen=True)
class FileState:
    """One file.

    Attributes:
        state: Whether it is what the manifest lists. The manifest itself is `"changed"` where its
            own checksum says so.
        size_bytes: What it has; None where it is missing.
        what: What it is, for people; "" where that is not known.
        problem: Why `load` would refuse the artifact because of it; None where it would not.
    """

    state: State
    size_bytes: int | None
    what: str
    problem: str | None = None


@dataclass(frozen=True)
class Inventory:
    """All files of a folder, and all that the manifest lists.

    Attributes:
        manifest: The manifest, also one whose checksum does not match; None where it says nothing
            that could be compared with files.
        files: By path relative to the folder, in order.
        removed: Names of runtimes whose files were all taken out, while another one's are there.
        signature: Who signed it, in words.
        unsigned: Why that is not enough; None where it is.
    """

    manifest: Manifest | None
    files: Mapping[str, FileState]
    removed: tuple[str, ...]
    signature: str
    unsigned: str | None

    @property
    def problems(self) -> list[str]:
        """What is wrong: why `load` would refuse the artifact; empty where it is whole."""
        found = [self.unsigned, *(each.problem for each in self.files.values())]
        return [problem for problem in found if problem is not None]


def take_inventory(folder: Path, trusted: str | os.PathLike[str] | None = None) -> Inventory:
    """Compare the files of a folder with its manifest; damage is part of the answer, not an error.

    Args:
        folder: The artifact.
        trusted: Public keys, one of whose owners must have signed it; see `runtimes.load`.

    Raises:
        ArtifactError: There is no manifest.
        UsageError: `trusted` names no keys.
        MissingDependencyError: `trusted` is given, and `cryptography` is not installed.
    """
    keys = None if trusted is None else read_public_keys(trusted)
    content = read_content(folder)
    damage = None
    try:
        manifest: Manifest | None = read_manifest(folder)
    except ArtifactError as error:
        damage, manifest = error.message, _as_it_stands(content)
    itself: State = "as listed" if damage is None else "changed"
    files = {MANIFEST_NAME: FileState(itself, len(content), _KNOWN[MANIFEST_NAME], damage)}
    removed: dict[str, set[str]] = {}
    if manifest is not None:
        removed = removed_files(folder, manifest)
        optional = OPTIONAL.union(*removed.values())
        for name in manifest.files:
            files[name] = _listed(folder, manifest, name, optional=name in optional)
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if name not in files and not path.is_dir():
            what = _KNOWN[name] if name in (SIGNATURE_NAME, TUNING_NAME) else "never read"
            what = "" if manifest is None else what
            files[name] = FileState("not listed", _size(path), what)
    signature, unsigned = _signed(folder, content, keys)
    return Inventory(manifest, dict(sorted(files.items())), tuple(removed), signature, unsigned)


def _signed(folder: Path, content: bytes, keys: Sequence[bytes] | None) -> tuple[str, str | None]:
    """Say who signed, and what is wrong with that."""
    try:
        key = check_signed(folder, content, keys)
    except ArtifactError as error:
        return "not what it should be", error.message
    except MissingDependencyError:
        if keys is not None:
            raise
        return "not checked: that needs the package cryptography", None
    if key is None:
        return "none", None
    compared = "not compared with a key that you trust" if keys is None else "trusted"
    return f"by {fingerprint(key)}, {compared}", None


def _as_it_stands(content: bytes) -> Manifest | None:
    """Return what a manifest says whose checksum does not match."""
    try:
        return parse(parse_json(content))
    except ValueError:
        return None


def _listed(folder: Path, manifest: Manifest, name: str, *, optional: bool) -> FileState:
    state: State = "as listed"
    problem = None
    try:
        verify(folder, manifest, only=[name])
    except ArtifactError as error:
        problem = None if optional else error.message
        state = "changed" if (folder / name).exists() else "missing"
    return FileState(state, _size(folder / name), _what(manifest, name), problem)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _what(manifest: Manifest, name: str) -> str:
    """Say what a listed file is."""
    for model in manifest.models:
        if name == model.path:
            return f"{runtime_title(model.runtime)}, {model.precision}, {model.variant}"
    titles = {runtime_title(m.runtime) for m in manifest.models if name in manifest.files_of(m)}
    return f"weights, {' and '.join(sorted(titles))}" if titles else _KNOWN.get(name, "")
