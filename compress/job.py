"""What every part of a run needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.examples import Examples
from compress.data import Splits
from compress.family import Member, Staged, sample
from compress.progress import Progress
from compress.recipe import Recipe
from compress.version import tool_version
from compress.workspace import Workspace, digest, file_digest

if TYPE_CHECKING:
    from compress.stages.base import Context

__all__ = ["Family", "Job"]


@dataclass(frozen=True)
class Job:
    """One run's input, settings and output folder.

    Attributes:
        model: As the user named it.
        data: As the user named it.
        checkpoint: The model's folder.
        splits: The data.
        unlabelled: More text, or None.
        recipe: All settings.
        workspace: The output folder.
        progress: Where to report progress.
        command: What the user typed, for the report.
    """

    model: str
    data: str
    checkpoint: Path
    splits: Splits
    unlabelled: Examples | None
    recipe: Recipe
    workspace: Workspace
    progress: Progress
    command: str | None

    @property
    def name(self) -> str:
        """The model's name for people."""
        return Path(self.model).name

    @cached_property
    def model_key(self) -> str:
        """Digest of the checkpoint's files and of this tool's version."""
        files = sorted([*self.checkpoint.glob("*.safetensors"), *self.checkpoint.glob("*.json")])
        return digest(tool_version(), [(file.name, file_digest(file)) for file in files])

    def calibration(self) -> Sequence[dict[str, Any]]:
        """Training texts as model inputs, for the stock exporters' static quantization."""
        from runtimes.tokenization import Tokenizer

        tokenizer = Tokenizer.from_folder(self.checkpoint)
        texts = sample(self.splits.train, self.recipe.quantize.calibration_texts)
        return [tokenizer.encode([text]) for text in texts]


@dataclass(frozen=True)
class Family:
    """The members of a run.

    Attributes:
        members: Exported, the slowest first.
        staged: The same before export; none where the stock exporters made the only member.
        context: What its stages used; None likewise.
    """

    members: list[Member]
    staged: list[Staged] = field(default_factory=list)
    context: "Context | None" = None
