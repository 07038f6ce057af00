"""Input, settings and family of a run, which all of its parts need."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.examples import Examples
from benchmarks.subjects import Subject
from compress.config.recipe import Recipe
from compress.data import Splits
from compress.evaluation.baselines import StockExports
from compress.pipeline.device import Device
from compress.search.members import Member, Staged, sample
from compress.system.fingerprint import checkpoint_files, digest
from compress.system.progress import Progress
from compress.system.workspace import Workspace
from runtimes.versions import tool_version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        remeasure: Measure the latency table anew, whatever is kept.
        device: The device that it is for; None is this machine.
        students: Checkpoints that members may be cut from instead of the model's own layers.
        answers: What rows of the table answered on the selection split so far.
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
    remeasure: bool = False
    device: Device | None = None
    students: tuple[str, ...] = ()
    answers: "dict[str, NDArray[np.float32]]" = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the model, for people."""
        return Path(self.model).name

    @cached_property
    def model_key(self) -> str:
        """Digest of the checkpoint's files and of this tool's version."""
        return digest(tool_version(), checkpoint_files(self.checkpoint))

    def stock_exports(self) -> StockExports:
        """Return the stock exports that the result is compared with."""
        from runtimes.tokenization import Tokenizer

        count = self.recipe.quantize.calibration_texts
        tokenizer = Tokenizer.from_folder(self.checkpoint)
        return StockExports(
            self.checkpoint,
            self.workspace,
            digest(self.model_key, self.splits.fingerprint, count),
            [tokenizer.encode([text]) for text in sample(self.splits.train, count)],
            names=self.recipe.benchmark.baselines,
        )


@dataclass(frozen=True)
class Family:
    """Members of a run.

    Attributes:
        members: Exported, the slowest first.
        rivals: The stock exports to compare with.
        staged: The same before export; none where the stock exporters made the only member.
        context: What its stages used; None likewise.
        spare: Slower members, exported only where none of these is inside the budget.
        deadline: Moment of `time.monotonic` by which the run is to end; None: whenever.
        export_s: Seconds that exporting one of them took.
    """

    members: list[Member]
    rivals: list[Subject]
    staged: list[Staged] = field(default_factory=list)
    context: "Context | None" = None
    spare: list[Staged] = field(default_factory=list)
    deadline: float | None = None
    export_s: float = 0.0
