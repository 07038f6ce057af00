"""An input to try an artifact with, in the form that its task takes."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtimes.artifact import read_manifest
from runtimes.registry import get_task
from runtimes.tasks.fill_mask import MASKS

__all__ = ["example", "example_code", "example_command", "mask_token"]


def example(artifact: Path) -> Any:
    """Return the input as the task takes it."""
    return get_task(read_manifest(artifact).task).from_line(_line(artifact))


def example_code(artifact: Path) -> str:
    """Return the input as Python."""
    return repr(example(artifact))


def example_command(artifact: Path, program: Sequence[str] = ("edgepress",)) -> str:
    """Return a command for a POSIX shell that predicts it.

    Args:
        artifact: Its folder.
        program: The words that start the command.
    """
    line = _line(artifact)
    typed = shlex.join([*program, "predict", str(artifact)])
    if "\t" not in line:
        return f"{typed} {shlex.quote(line)}"
    written = line.replace("\t", "\\t") + "\\n"
    return f"printf {shlex.quote(written)} | {typed}"


def _line(artifact: Path) -> str:
    """Return the input as `edgepress predict` reads it."""
    manifest = read_manifest(artifact)
    line = get_task(manifest.task).SPEC.example
    if line is None:
        return "some text\tanother text" if manifest.pairs else "some text"
    return line.replace(MASKS[0], mask_token(artifact))


def mask_token(artifact: Path) -> str:
    """Return the token that stands for a word to be found; BERT's where the tokenizer has none."""
    tokens = (artifact / "tokenizer.json").read_text(encoding="utf-8")
    return next((mask for mask in MASKS if mask in tokens), MASKS[0])
