"""An input to try an artifact with, in the form that its task takes."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from runtimes.artifact import read_manifest
from runtimes.registry import get_task
from runtimes.tasks.fill_mask import MASKS

__all__ = ["example_code", "example_command"]


def example_code(artifact: Path) -> str:
    """Return the input as Python."""
    task = get_task(read_manifest(artifact).task)
    return repr(task.from_line(_line(artifact)))


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
    tokens = (artifact / "tokenizer.json").read_text(encoding="utf-8")
    mask = next((mask for mask in MASKS if mask in tokens), MASKS[0])
    return line.replace(MASKS[0], mask)
