"""The folder that a training writes: new or its own, resumable, a checkpoint at the end."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import UsageError

__all__ = ["check_out", "last_checkpoint", "make_scratch", "save", "write_record"]

_RECORD, _SCRATCH = "training.json", ".training"


def check_out(out: Path, key: str) -> None:
    """Refuse a folder of something else, before anything is written.

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
        if mark.read_text(encoding="utf-8") != key:
            raise UsageError(
                f"--out {out} holds a training of another base, data or settings",
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
    """The one to go on from."""
    from transformers.trainer_utils import get_last_checkpoint

    found: str | None = get_last_checkpoint(str(scratch))
    return found


def write_record(out: Path, record: Mapping[str, Any]) -> None:
    """How the model came to be, beside it."""
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (out / _RECORD).write_text(text, encoding="utf-8")


def save(model: Any, tokenizer: Any, length: int, out: Path, scratch: Path) -> None:
    """The finished model; what it would have been resumed from goes."""
    model.save_pretrained(out)
    tokenizer.model_max_length = length
    tokenizer.save_pretrained(out)
    for checkpoint in scratch.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
