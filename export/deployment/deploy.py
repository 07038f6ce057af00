"""Hands an artifact on: checks it, has a layout fill a folder, and puts that where it was asked."""

import hashlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from export.deployment.archive import write_archive
from export.deployment.platforms import DEFAULT_PYTHON, PLATFORMS, this_platform
from export.deployment.requirements import OLDEST_PYTHON
from export.layouts.base import Order
from export.layouts.registry import get_layout
from runtimes.artifact import OPTIONAL, SIGNATURE_NAME, read_manifest, removed_files, verify
from runtimes.errors import UsageError, did_you_mean
from runtimes.folders import locked, partial_folder
from runtimes.manifest import MANIFEST_NAME, Manifest
from runtimes.registry import get_runtime

__all__ = ["Deployed", "copy_artifact", "deploy"]

_ARCHIVES = (".tar.gz", ".tgz")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PYTHON = re.compile(r"3\.\d{1,2}")


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Attributes:
        layout: How.
        path: Folder or archive.
        files: Paths relative to it.
        size_bytes: Of all of them; of an archive its own.
        sha256: Of the archive; None of a folder.
        then: The next command.
    """

    layout: str
    path: Path
    files: tuple[str, ...]
    size_bytes: int
    sha256: str | None
    then: str


def deploy(
    artifact: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    layout: str,
    name: str,
    runtime: str | None = None,
    platform: str | None = None,
    python: str | None = None,
    offline: bool = False,
) -> Deployed:
    """Write an artifact, with what runs it, so that `to` appears whole or not at all.

    Args:
        artifact: Its folder.
        to: A folder, or an archive `.tar.gz`, that is not there yet.
        layout: Of `export.layouts`.
        name: What the model is called there.
        runtime: Take this runtime's files; by default those of the artifact's first.
        platform: Of `PLATFORMS`, for wheels that go along; by default this machine's.
        python: Python's version there, for the same; by default 3.12.
        offline: Whether it is installed without a network: the wheels go along.

    Raises:
        ArtifactError: The artifact is damaged.
        ModelError: It cannot be handed on in this way.
        UsageError: `to` is there already, or something is asked for that there is not.
        EdgepressError: A wheel cannot be fetched.
    """
    made, artifact = get_layout(layout), Path(artifact)
    target = Path(to).parent.resolve() / Path(to).name  # a link at its end is not followed
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name}: a name has letters, digits, dots, dashes and underscores")
    if made.WHEELS == "never" and offline:
        raise UsageError(f"--as {layout} has no wheels: --offline means nothing there")
    if made.WHEELS != "always" and not offline and (platform or python):
        raise UsageError(
            "--platform and --python say which wheels go along, and none do",
            hint="add --offline" if made.WHEELS == "asked" else None,
        )
    # Wheels that always go along are a container's.
    platform = platform or this_platform(container=made.WHEELS == "always")
    python = python or DEFAULT_PYTHON
    if platform not in PLATFORMS:
        raise UsageError(
            f"--platform {platform}: there are {', '.join(PLATFORMS)}",
            hint=did_you_mean(platform, PLATFORMS),
        )
    if not _PYTHON.fullmatch(python) or int(python.partition(".")[2]) < OLDEST_PYTHON[1]:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise UsageError(
            f"--python {python}: it is a version such as {DEFAULT_PYTHON}, from {oldest} on"
        )
    if runtime is not None:
        get_runtime(runtime)
    if runtime is not None and made.RUNTIMES and runtime not in made.RUNTIMES:
        raise UsageError(f"--as {layout} goes with --runtime {' or '.join(made.RUNTIMES)}")
    _check_free(target)
    manifest = read_manifest(artifact)
    verify(artifact, manifest, only=_vouched(artifact, manifest, runtime))
    if target.is_relative_to(artifact.resolve()):
        raise UsageError(f"{target} is inside the artifact", hint="name a folder outside of it")
    order = Order(artifact, manifest, name, runtime, platform, python, offline)
    packed = next((end for end in _ARCHIVES if target.name.endswith(end)), None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(target) as partial:
        content = partial / "content"
        content.mkdir(mode=0o755)
        then = made.write(order, content)
        files = tuple(
            sorted(p.relative_to(content).as_posix() for p in content.rglob("*") if p.is_file())
        )
        size, sha256, ready = sum((content / each).stat().st_size for each in files), None, content
        if packed:
            ready = partial / "archive"
            write_archive(content, ready, target.name.removesuffix(packed))
            size, sha256 = ready.stat().st_size, _sha256(ready)
            root = target.name.removesuffix(packed)
            then = f"tar xzf {shlex.quote(target.name)} && cd {shlex.quote(root)} && {then}"
        else:
            then = f"cd {shlex.quote(os.fspath(to))} && {then}"
        with locked(target.parent):
            _check_free(target)
            ready.rename(target)
    return Deployed(layout, target, files, size, sha256, then)


def copy_artifact(order: Order, folder: Path, runtime: str | None) -> None:
    """Copy an artifact: what a runtime needs, its list, and the signature if there is one.

    Settings that were measured on another device stay behind.

    Raises:
        ArtifactError: A file is not what the manifest lists, or changed meanwhile.
    """
    names = _there(order.artifact, order.manifest, runtime)
    for name in [MANIFEST_NAME, SIGNATURE_NAME, *names]:
        source, copy = order.artifact / name, folder / name
        if name == SIGNATURE_NAME and not source.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    verify(folder, order.manifest, only=_vouched(folder, order.manifest, runtime))


def _there(artifact: Path, manifest: Manifest, runtime: str | None) -> list[str]:
    """Return what goes along; not what may be missing, and is."""
    gone = set().union(*removed_files(artifact, manifest).values())
    names = (name for name in manifest.needed_by(runtime) if name not in gone)
    return [name for name in names if name not in OPTIONAL or (artifact / name).is_file()]


def _vouched(artifact: Path, manifest: Manifest, runtime: str | None) -> list[str]:
    """Leave out what may have been edited, too."""
    return [name for name in _there(artifact, manifest, runtime) if name != "README.md"]


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError(
            f"--to {target} exists; nothing was touched", hint="remove it, or name another"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
