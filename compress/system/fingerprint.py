"""Digests that tell whether what a result depends on has changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["checkpoint_files", "digest", "file_digest"]


def digest(*parts: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 over JSON-able parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_files(folder: Path) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each file of a checkpoint that decides what it answers.

    A checkpoint that was made anew in the same place is another one. A folder that does not exist
    has no files.
    """
    patterns = ("*.safetensors", "*.json", "*_Pooling/config.json")
    files = sorted(file for pattern in patterns for file in folder.glob(pattern))
    return [(str(file.relative_to(folder)), file_digest(file)) for file in files]
