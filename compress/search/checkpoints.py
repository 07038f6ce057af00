"""Encoders on disk, and their keys: a killed run goes on after its last finished stage.

A key covers everything that a checkpoint depends on. One whose inputs have changed in any way is
not found, and made again.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.stages.lineage import EncoderState
from compress.system.fingerprint import digest
from compress.system.workspace import Workspace
from runtimes.versions import installed_versions

if TYPE_CHECKING:
    from compress.stages.base import Context, Encoder, Stage

__all__ = ["import_key", "load_encoder", "machine", "save_encoder", "stage_key"]

_FORMAT = 3
_LINEAGE, _STATE = "lineage.json", "state.json"
_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "scipy")


def import_key(
    *,
    model: str,
    data: str,
    unlabelled: str | None,
    max_length: int,
    machine: Mapping[str, Any],
    device: str | None = None,
) -> str:
    """Return the key of the encoder as imported, which all others begin from.

    Args:
        model: Digest of the checkpoint and of this tool's version.
        data: Fingerprint of the splits.
        unlabelled: Fingerprint of more text, or None.
        max_length: Tokens kept of a text.
        machine: What `machine` says.
        device: Digest of the profile of the device that the run is for; None is this machine.
    """
    of_device = () if device is None else (device,)
    return digest(_FORMAT, model, data, unlabelled, max_length, machine, *of_device)


def machine() -> dict[str, Any]:
    """Return what weights depend on beside a run's inputs: libraries, devices and processes."""
    from compress.system.device import has_bfloat16, training_device
    from compress.system.distributed import processes

    device = training_device()
    return {
        "libraries": installed_versions(*_LIBRARIES),
        "device": device.type,
        "bfloat16": has_bfloat16(device),
        "processes": processes(),
    }


def stage_key(before: str, stage: "Stage", context: "Context") -> str:
    """Return the key of what a stage makes of the encoder whose key is `before`."""
    recipe = context.recipe
    return digest(
        before,
        stage.name,
        getattr(recipe, stage.name).model_dump(mode="json"),
        recipe.seed,
        recipe.stages,
        stage.cache_key(context),
    )


def save_encoder(workspace: Workspace, key: str, encoder: "Encoder") -> None:
    """Write a checkpoint; it appears only when it is complete."""
    contents = {_LINEAGE: list(encoder.lineage), _STATE: encoder.state.to_json()}

    def write(partial: Path) -> None:
        encoder.module.save_pretrained(partial)
        encoder.tokenizer.save_pretrained(partial)
        for name, content in contents.items():
            (partial / name).write_text(json.dumps(content, indent=2), encoding="utf-8")

    workspace.fill(workspace.encoder(key), write)


def load_encoder(workspace: Workspace, key: str, like: "Encoder") -> "Encoder | None":
    """Return the encoder saved under `key`, or None; `like` gives the tokenizer."""
    folder = workspace.encoder(key)
    if not folder.is_dir():
        return None
    from compress.encoder.heads.registry import read

    lineage, state = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in (_LINEAGE, _STATE)
    )
    return replace(
        like, module=read(folder), lineage=tuple(lineage), state=EncoderState.from_json(state)
    )
