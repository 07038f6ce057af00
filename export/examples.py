"""An input to try an artifact with, in the form that its task takes."""

from pathlib import Path

from runtimes.artifact import read_manifest
from runtimes.registry import get_task
from runtimes.tasks.fill_mask import MASKS

__all__ = ["example_code", "example_command"]

_LINES = {
    "multiple-choice": "It has rained.\tThe street is wet.\tThe street is dry.",
    "question-answering": "Who was it?\tIt was Ada.",
}


def example_code(artifact: Path) -> str:
    """The input as Python."""
    task = get_task(read_manifest(artifact).task)
    return repr(task.from_line(_line(artifact)))


def example_command(artifact: Path) -> str:
    """A command for a POSIX shell that predicts it."""
    line = _line(artifact)
    if "\t" not in line:
        return f'compress predict {artifact} "{line}"'
    return f"printf '{line}\\n' | compress predict {artifact}".replace("\t", "\\t")


def _line(artifact: Path) -> str:
    """As `compress predict` reads it."""
    manifest = read_manifest(artifact)
    if manifest.task == "fill-mask":
        tokens = (artifact / "tokenizer.json").read_text(encoding="utf-8")
        return f"some {next((mask for mask in MASKS if mask in tokens), MASKS[0])} text"
    pair = "some text\tanother text" if manifest.pairs else "some text"
    return _LINES.get(manifest.task, pair)
