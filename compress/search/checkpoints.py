"""Encoders on disk: what lets a killed run go on after its last finished stage."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compress.system.workspace import Workspace

if TYPE_CHECKING:
    from compress.stages.base import Encoder

__all__ = ["load_encoder", "save_encoder"]

_LINEAGE = "lineage.json"


def save_encoder(workspace: Workspace, key: str, encoder: "Encoder") -> None:
    """Write a checkpoint; it appears only when it is complete."""

    def write(partial: Path) -> None:
        encoder.module.save_pretrained(partial)
        encoder.tokenizer.save_pretrained(partial)
        lineage = json.dumps(list(encoder.lineage), indent=2)
        (partial / _LINEAGE).write_text(lineage, encoding="utf-8")

    workspace.fill(workspace.encoder(key), write)


def load_encoder(workspace: Workspace, key: str, like: "Encoder") -> "Encoder | None":
    """Return the encoder saved under `key`, or None; `like` gives the tokenizer."""
    folder = workspace.encoder(key)
    if not folder.is_dir():
        return None
    from compress.encoder.modules import read

    lineage = json.loads((folder / _LINEAGE).read_text(encoding="utf-8"))
    return replace(like, module=read(folder), lineage=tuple(lineage))
