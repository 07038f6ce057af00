"""The folder that a run writes to: its owner, and the checkpoints that let a killed run go on.

    OUT/
      artifact/  family/  checkpoint/  checkpoints/                         for the user
      report.html/.md/.csv/.json  recipe.yaml  run.log
      .edgepress/                                                          the run's own
        run.json             whose the folder is: model, data, task; which process works on it
        lock                 held by the process that works on it
        encoders/KEY/        an encoder after a stage: weights, tokenizer, lineage
        members/KEY/         an exported artifact
        stock/NAME-KEY/      a stock export
        tables/              latency tables that were measured on a busy machine

A KEY is the SHA-256 of everything that decides the content (input, settings, data, seed, version);
a folder that exists is complete, because it is renamed into place last.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from compress.errors import UsageError
from runtimes.folders import partial_folder, remove, write_text

__all__ = ["Identity", "Owner", "Workspace"]

_PRIVATE = ".edgepress"
_KEPT = ("encoders", "members", "stock")  # folders of folders that are renamed into place


@dataclass(frozen=True)
class Identity:
    """Identity of a model or of data: what it is called, and what it holds.

    Attributes:
        name: Full path, id of the hub, or what an object in memory is called.
        content: Digest.
    """

    name: str
    content: str

    def same(self, other: "Identity") -> bool:
        """Whether either agrees: a folder may have moved, and a file may have grown."""
        return self.name == other.name or self.content == other.content


@dataclass(frozen=True)
class Owner:
    """What an output folder was made from."""

    model: Identity
    data: Identity
    task: str

    @staticmethod
    def from_json(record: Any) -> "Owner | None":
        """Read what `run.json` says; None where it says nothing (a folder that was just made)."""
        try:
            return Owner(Identity(**record["model"]), Identity(**record["data"]), record["task"])
        except (KeyError, TypeError):
            return None


class Workspace:
    """One run's output folder; `create` it before anything is written, and `close` it.

    Args:
        out: The folder.

    Raises:
        UsageError: It is a file, or it holds something that no run of this tool wrote.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._private = out / _PRIVATE
        self._mark = self._private / "run.json"
        self._lock = FileLock(self._private / "lock")
        self.scratch = self._private / "scratch"
        self.tables = self._private / "tables"
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} is a file", hint="name a folder")
        if out.is_dir() and any(out.iterdir()) and not self._private.is_dir():
            raise UsageError(
                f"--out {out} is not empty and was not written by this tool; nothing was touched",
                hint="name a new folder, or one of an earlier run (which then resumes)",
            )

    def create(self, owner: Owner | None = None, *, overwrite: bool = False) -> None:
        """Make the folder, lock it, mark it as `owner`'s, and sweep what a killed run left.

        Args:
            owner: What the run makes its models from; None asks for no one's folder (tests).
            overwrite: Take over a folder that was made from something else.

        Raises:
            UsageError: The folder cannot be written to, another process works on it, or it was
                made from another model, other data or for another task; nothing was touched.
        """
        try:
            self._private.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            if owner is not None and not overwrite:
                self._check(owner)
            record = {"format": 1, "process": os.getpid()} | (
                {} if owner is None else asdict(owner)
            )
            write_text(self._mark, json.dumps(record, indent=2) + "\n")
            self._sweep()
        except OSError as error:
            self._lock.release()
            raise UsageError(
                f"--out {self.out} cannot be written to: {error.strerror or error}",
                hint="name a folder that can be",
            ) from error

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            process = self._record().get("process", "?")
            raise UsageError(
                f"another run works on --out {self.out} (process {process}); nothing was touched",
                hint="wait for its end, or name another folder with --out",
            ) from None

    def kept(self) -> dict[str, int]:
        """Return, by name, how many bytes lie here for runs to go on from; a finished result needs
        none of them."""
        return {
            place.name: sum(p.stat().st_size for p in (place, *place.rglob("*")) if p.is_file())
            for place in sorted(self._private.iterdir())
            if place not in (self._mark, Path(self._lock.lock_file))
        }

    def clear(self) -> None:
        """Remove what `kept` tells of. The folder stays that of its run.

        Raises:
            UsageError: A run works on it.
        """
        self._take_lock()
        try:
            for name in self.kept():
                remove(self._private / name)
        finally:
            self._lock.release()

    def _check(self, owner: Owner) -> None:
        """Refuse a folder of another model, other data or another task."""
        before = Owner.from_json(self._record())
        if before is None:
            return
        differs = [
            f"{what} {theirs} instead of {ours}"
            for what, same, theirs, ours in (
                ("model", before.model.same(owner.model), before.model.name, owner.model.name),
                ("data", before.data.same(owner.data), before.data.name, owner.data.name),
                ("task", before.task == owner.task, before.task, owner.task),
            )
            if not same
        ]
        if not differs:
            return
        self._lock.release()
        raise UsageError(
            f"--out {self.out} was made from something else ({'; '.join(differs)}); "
            "nothing was touched",
            hint="name a new folder with --out, or replace what is there with --overwrite",
        )

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads(self._mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _sweep(self) -> None:
        """Remove what a killed run had not finished, and make an empty `scratch`."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        for place in (
            self.out,
            self.family,
            self.checkpoints,
            *(self._private / name for name in _KEPT),
        ):
            for left in place.glob(".*.partial"):  # the lock is held: nobody fills them any more
                remove(left)

    @property
    def artifact(self) -> Path:
        """Folder that the recommended artifact is published in."""
        return self.out / "artifact"

    @property
    def family(self) -> Path:
        """Folder that the other members are published in."""
        return self.out / "family"

    @property
    def checkpoint(self) -> Path:
        """Folder that the recommended member's PyTorch checkpoint is published in."""
        return self.out / "checkpoint"

    @property
    def checkpoints(self) -> Path:
        """Folder that those of the other members are published in."""
        return self.out / "checkpoints"

    @property
    def log(self) -> Path:
        """The run's log."""
        return self.out / "run.log"

    @property
    def models(self) -> Path:
        """Where models that were given in memory are saved."""
        return self._private / "models"

    def member(self, key: str) -> Path:
        """Return the folder of an exported member."""
        return self._private / "members" / key

    def stock(self, name: str, key: str) -> Path:
        """Return the folder of a stock export."""
        return self._private / "stock" / f"{name}-{key}"

    def encoder(self, key: str) -> Path:
        """Return the folder of an encoder's checkpoint; `from_pretrained` opens it."""
        return self._private / "encoders" / key

    def fill(self, folder: Path, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a folder that appears under its name only when it is complete."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(folder) as partial:
            write(partial)
            remove(folder)
            partial.rename(folder)
        return folder

    def close(self) -> None:
        """Remove temporary files and let others work on the folder."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._lock.release()

    def __enter__(self) -> Self:
        """Return the folder, which is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
