"""The folder that a run writes to: its owner, and the checkpoints that let a killed run go on.

    OUT/
      artifact/  family/  report.html/.md/.csv/.json  recipe.yaml  run.log     for the user
      .edgepress/                                                          the run's own
        run.json             format of what is here; the folder marks OUT as a run's
        encoders/KEY/        an encoder after a stage: weights, tokenizer, lineage
        members/KEY/         an exported artifact
        stock/NAME-KEY/      a stock export

A KEY is the SHA-256 of everything that decides the content (input, settings, data, seed, version);
a folder that exists is complete, because it is renamed into place last.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from compress.errors import UsageError

__all__ = ["Workspace"]

_PRIVATE = ".edgepress"


class Workspace:
    """One run's output folder; `create` it before anything is written.

    Args:
        out: The folder.

    Raises:
        UsageError: It is a file, or it holds something that no run of this tool wrote.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._private = out / _PRIVATE
        self.scratch = self._private / "scratch"
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} is a file", hint="name a folder")
        if out.is_dir() and any(out.iterdir()) and not self._private.is_dir():
            raise UsageError(
                f"--out {out} is not empty and was not written by this tool; nothing was touched",
                hint="name a new folder, or one of an earlier run (which then resumes)",
            )

    def create(self) -> None:
        """Make the folder, mark it as a run's, and clear what a killed run left in `scratch`.

        Raises:
            UsageError: The folder cannot be written to.
        """
        try:
            self._private.mkdir(parents=True, exist_ok=True)
            mark = self._private / "run.json"
            mark.write_text(json.dumps({"format": 1}) + "\n", encoding="utf-8")
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir()
        except OSError as error:
            raise UsageError(
                f"--out {self.out} cannot be written to: {error.strerror or error}",
                hint="name a folder that can be",
            ) from error

    @property
    def artifact(self) -> Path:
        """Folder that the recommended artifact is published in."""
        return self.out / "artifact"

    @property
    def family(self) -> Path:
        """Folder that the other members are published in."""
        return self.out / "family"

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
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        return folder

    def close(self) -> None:
        """Remove temporary files."""
        shutil.rmtree(self.scratch, ignore_errors=True)
