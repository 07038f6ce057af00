"""What a `--data` argument means: which file holds which split."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from compress.data.table import listed
from compress.errors import DataError, NoLabelsError
from runtimes.errors import nearest

__all__ = ["EXTENSIONS", "Source", "hub_dataset", "locate"]

EXTENSIONS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}

# train-00000-of-00002.parquet: how `datasets` names the shards of one split.
SHARD = re.compile(r"-\d{5}-of-\d{5}$")
# owner/name, or owner/name:config; the hub's own rule for the characters.
HUB_ID = re.compile(r"^[\w][\w.-]*(/[\w][\w.-]*)?(:[\w.-]+)?$")


@dataclass(frozen=True)
class Source:
    """Where the splits are. Exactly one of the three fields is set.

    Attributes:
        files: Split name ("train", "validation", "test", or "all" for the only file) -> its files.
        saved: A folder written by `datasets`' `save_to_disk`.
        hub: A hub dataset id, with ":config" where it has several.
    """

    files: dict[str, list[Path]] | None = None
    saved: Path | None = None
    hub: str | None = None


def locate(source: str) -> Source:
    """Finds the files behind a file name, a folder or a hub dataset id.

    Raises:
        DataError: There is no such path, its extension is unknown, or a folder's files do not
            say which split they are.
    """
    path = Path(source).expanduser()
    if path.is_file():
        _require_known_extension(path)
        return Source(files={"all": [path]})
    if path.is_dir():
        return _locate_in_folder(path)
    if path.exists():
        raise DataError(
            f"{source}: neither a regular file nor a folder, but a device, pipe or socket."
        )
    if path.is_symlink():
        raise DataError(
            f"{source}: a link that leads to no file.", hint=f"Look: ls -l {shlex.quote(source)}"
        )
    if not _looks_like_a_path(source) and HUB_ID.match(source):
        return Source(hub=source)
    raise DataError(f"No such file or folder: {source}", hint=_suggestion(path))


def hub_dataset(source: str) -> str | None:
    """Return the hub's id of a data set; None of files, folders and objects in memory."""
    if Path(source).expanduser().exists() or _looks_like_a_path(source):
        return None
    return source.partition(":")[0] if HUB_ID.match(source) else None


def _locate_in_folder(folder: Path) -> Source:
    saved_markers = ("dataset_dict.json", "dataset_info.json")
    if any((folder / marker).is_file() for marker in saved_markers):
        return Source(saved=folder)
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and p.is_file())
    if not files and (folder / "data").is_dir():  # the layout of a dataset cloned from the hub
        return _locate_in_folder(folder / "data")
    if not files:
        there = sorted(p.name for p in folder.iterdir())
        raise DataError(
            f"{folder}: no data files here ({listed(there) if there else 'the folder is empty'}).",
            hint=f"Expected train, validation and test files ending in {', '.join(EXTENSIONS)}.",
        )
    splits: dict[str, list[Path]] = {}
    for file in files:
        name = _split_of(file)
        if name is not None:
            splits.setdefault(name, []).append(file)
    if not splits:
        if len(files) == 1:
            return Source(files={"all": files})
        raise DataError(
            f"{folder}: cannot tell which split each file is: {listed([f.name for f in files])}.",
            hint="Name them train, validation (dev, val) and test, or pass one file to --data.",
        )
    for name, members in splits.items():
        if len(members) > 1 and not all(SHARD.search(member.stem) for member in members):
            raise DataError(
                f"{folder}: several files for the {name} split: "
                f"{listed([member.name for member in members])}.",
                hint="Keep one of them in the folder, or join them into one file.",
            )
    return Source(files=splits)


def _split_of(file: Path) -> str | None:
    return SPLIT_NAMES.get(re.split(r"[-_.]", file.stem.lower())[0])


def _require_known_extension(path: Path) -> None:
    if path.suffix.lower() not in EXTENSIONS:
        kind = NoLabelsError if path.suffix.lower() == ".txt" else DataError
        raise kind(
            f"{path}: files ending in '{path.suffix}' are not supported.",
            hint=f"Supported: {', '.join(EXTENSIONS)}, or a folder of them.",
        )


def _looks_like_a_path(source: str) -> bool:
    return (
        source.startswith((".", "/", "~"))
        or "\\" in source
        or source.count("/") > 1
        or Path(source).suffix.lower() in EXTENSIONS
    )


def _suggestion(path: Path) -> str:
    there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    if near := nearest(path.name, there):
        return f"Did you mean {path.parent / near}?"
    return "Give a file, a folder with train/validation/test files, or a hub dataset id."
