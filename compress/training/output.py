"""The folder that a training writes: new or its own, resumable, a checkpoint at the end."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import UsageError

__all__ = [
    "check_out",
    "last_checkpoint",
    "make_scratch",
    "read_record",
    "remove_checkpoints",
    "save",
    "write_record",
]

_RECORD, _SCRATCH = "training.json", ".training"


def check_out(out: Path, key: str) -> None:
    """Refuse a folder of something else, before anything is written.

    Another training is nothing to lose while it has no checkpoint, as where memory was too small.

    Raises:
        UsageError: It is a file, or holds something else or another training.
    """
    mark = out / _SCRATCH / "key"
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file", hint="name a folder")
    if out.is_dir() and any(out.iterdir()):
        if not mark.is_file():
            raise UsageError(
                f"--out {out} is not empty and was not written by a training; nothing was touched",
                hint="name a new folder, or one of an earlier training (which then resumes)",
            )
        begun = (out / _RECORD).is_file() or last_checkpoint(out / _SCRATCH)
        if begun and mark.read_text(encoding="utf-8") != key:
            raise UsageError(
                f"--out {out} holds a training of another base, data or settings, or by another "
                "number of processes",
                hint="name a new folder, or remove this one first",
            )


def make_scratch(out: Path, key: str) -> Path:
    """Where checkpoints of this training go.

    Raises:
        UsageError: It cannot be written to.
    """
    scratch = out / _SCRATCH
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "key").write_text(key, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--out {out} cannot be written to: {error.strerror or error}",
            hint="name a folder that can be",
        ) from error
    return scratch


def last_checkpoint(scratch: Path) -> str | None:
    """The one to go on from: the newest that was written to its end, which its state is."""
    whole = [state.parent for state in scratch.glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest)


def write_record(out: Path, record: Mapping[str, Any]) -> None:
    """How the model came to be, beside it."""
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (out / _RECORD).write_text(text, encoding="utf-8")


def read_record(out: Path, key: str) -> dict[str, Any] | None:
    """What `write_record` wrote when this very training was finished; None if it was not."""
    try:
        record: dict[str, Any] = json.loads((out / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("key") == key else None


def save(model: Any, tokenizer: Any, length: int, out: Path) -> None:
    """The finished model."""
    model.save_pretrained(out)
    tokenizer.model_max_length = length
    tokenizer.save_pretrained(out)


def remove_checkpoints(scratch: Path) -> None:
    """Of a finished training: nothing is to be resumed."""
    for checkpoint in scratch.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
