"""The functions that a notebook calls; the command calls the same.

    from compress import Recipe, compress

    recipe = Recipe.preset("balanced", max_drop=1.0, seed=1)
    result = compress("my-model", data="my-data", recipe=recipe, out="out")
    print(result.recommended)
    classify = result.load()

Each function leaves the caller's process as it was: logging, warnings, random states, threads and
environment (`compress.system.caller`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.differences import MOST_TEXTS
from compress.data.columns import NamedColumns
from compress.errors import BudgetError, UsageError
from compress.system.progress import Progress, SilentProgress, fitting_progress
from runtimes.tasks import DEFAULT_TASK

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from benchmarks.metrics import CrossFitted, Drop
    from benchmarks.profiling.kit import Kit
    from benchmarks.report import Report, Row
    from compress.config.recipe import Recipe
    from compress.data import Data
    from compress.training.pretraining import Objective, Pretrained
    from compress.training.run import Trained
    from compress.training.settings import TrainingSettings
    from runtimes.pipeline import Predictor
    from runtimes.tuning import Tuning

__all__ = [
    "Benchmark",
    "Member",
    "Result",
    "benchmark",
    "compress",
    "merge",
    "pretrain",
    "profile_kit",
    "train",
    "tune",
]


@dataclass(frozen=True)
class Member:
    """One model of a run's family, as it was published.

    Attributes:
        name: Short and unique in the run, such as `x2.4`.
        description: Its sizes.
        artifact: Its folder.
        checkpoint: Folder of its pruned PyTorch model, which `from_pretrained` opens; None where
            nothing was pruned, as its family has no importer.
        row: Its row in the table; of several, that of the runtime it is recommended for, or of the
            fastest. None where it was not measured for the table.
        drop: What it loses. Of the recommended one where the examples of the table also chose it,
            this is cross-fitted, as the report's first line tells it; of others it is the row's.
    """

    name: str
    description: str
    artifact: Path
    checkpoint: Path | None
    row: "Row | None"
    drop: "CrossFitted | Drop | None"

    def load(self, **options: Any) -> "Predictor":
        """Open the artifact; answers like `transformers.pipeline`.

        Args:
            options: Those of `runtimes.load`, such as `runtime`, `device` or `threads`.
        """
        from runtimes import load

        return load(self.artifact, **options)

    def __str__(self) -> str:
        parts = [self.description.partition(", FFN ")[0]]
        if self.row is not None and (speedup := self.row.sure_speedup) is not None:
            parts.append(f"{speedup.value:.1f}x ({speedup.low:.1f} to {speedup.high:.1f})")
        if self.drop is not None:
            parts.append(
                f"drop {self.drop.value:.1f} ({self.drop.low:.1f} to {self.drop.high:.1f})"
            )
        return f"{self.name}: {', '.join(parts)}"

    __repr__ = __str__


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark measured: shown in a notebook as its HTML report.

    Attributes:
        report: All figures, their intervals and raw timings, as in `report.json`.
    """

    report: "Report"

    def table(self) -> "pd.DataFrame":
        """Return a line for each row, with the unrounded figures of `report.csv`."""
        return _table(self.report)

    def _repr_html_(self) -> str:
        return _html(self.report)


class Result:
    """What a run gave: shown in a notebook as its HTML report.

    Of several processes (`accelerate launch`) the first one holds the result. The others get an
    object whose `main_process` is False and whose other attributes raise `UsageError`.

    Args:
        out: The run's output folder.
        report: Its report; None in another process than the first.
    """

    def __init__(self, out: Path, report: "Report | None") -> None:
        self.out = out
        self._report = report

    @classmethod
    def read(cls, out: str | Path) -> "Result":
        """Open the result of an earlier run.

        Raises:
            ArtifactError: The folder holds no report.
        """
        from benchmarks.report import load_report

        return cls(Path(out), load_report(Path(out) / "report.json"))

    @property
    def main_process(self) -> bool:
        """Whether this process holds the result."""
        return self._report is not None

    @property
    def report(self) -> "Report":
        """All figures, as in `report.json`.

        Raises:
            UsageError: This is not the first process.
        """
        if self._report is None:
            raise UsageError(
                "this process took part in training alone: the first one has the result",
                hint="ask for it where result.main_process is true",
            )
        return self._report

    @property
    def within_budget(self) -> bool:
        """Whether a model met the budget, so that there is a recommended one."""
        return self.report.recommended is not None

    @property
    def recommended(self) -> Member:
        """The fastest model inside the budget.

        Raises:
            BudgetError: There is none; see `within_budget`, and `family` for what there is.
        """
        for member in self.family.values():
            if member.row is not None and member.row.id == self.report.recommended:
                return member
        budget, report = self.report.budget, self.out / "report.html"
        if budget["target_latency_ms"] is not None:
            raise BudgetError(
                f"no candidate answers within {budget['target_latency_ms']:g} ms; the report is in "
                f"{report}",
                hint="allow more with --target-latency: the report shows what was reached",
            )
        option = "--max-drop" if "min_agreement" not in budget else "--min-agreement"
        raise BudgetError(
            f"no candidate stays within {budget['max_drop']:g} points; the report is in {report}",
            hint=f"allow more with {option}, or let it train longer with --effort best",
        )

    @property
    def artifact(self) -> Path:
        """Folder of the recommended model.

        Raises:
            BudgetError: No model met the budget.
        """
        return self.recommended.artifact

    @cached_property
    def family(self) -> dict[str, Member]:
        """All models of the run by name, the slowest first."""
        return {entry["name"]: self._member(entry) for entry in self.report.family}

    def load(self, **options: Any) -> "Predictor":
        """Open the recommended model; answers like `transformers.pipeline`.

        Args:
            options: Those of `runtimes.load`, such as `runtime`, `device` or `threads`.

        Raises:
            BudgetError: No model met the budget.
        """
        return self.recommended.load(**options)

    def table(self) -> "pd.DataFrame":
        """Return a line for each row, with the unrounded figures of `report.csv`."""
        return _table(self.report)

    def _member(self, entry: Any) -> Member:
        name = entry["name"]
        rows = [row for row in self.report.rows if row.id == f"{name}-{row.runtime}"]
        timed = [row for row in rows if row.end_to_end_ms is not None]
        row = next((row for row in rows if row.id == self.report.recommended), None)
        artifact = self.out / ("artifact" if row is not None else f"family/{name}")
        if row is None and timed:
            row = min(timed, key=lambda row: row.end_to_end_ms.p50)  # type: ignore[union-attr]
        found = entry.get("checkpoint")
        checkpoint = None if found is None else self.out / found["path"]
        if row is None:
            return Member(name, entry["description"], artifact, checkpoint, None, None)
        drop = self.report.told_drop if row.id == self.report.recommended else row.drop
        return Member(name, entry["description"], artifact, checkpoint, row, drop)

    def _repr_html_(self) -> str:
        return _html(self.report)

    def __repr__(self) -> str:
        if not self.main_process:
            return f"Result of the first process, in {self.out}"
        from benchmarks.render.headline import summary

        return f"Result in {self.out}: {summary(self.report)}"


def compress(
    model: "str | Path | tuple[PreTrainedModel, PreTrainedTokenizerBase]",
    data: "Data | None" = None,
    *,
    recipe: "Recipe | None" = None,
    out: str | Path = "out",
    unlabelled: "Data | None" = None,
    students: Sequence[str | Path] = (),
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    overwrite: bool = False,
    remeasure: bool = False,
    device_profile: str | Path | None = None,
    device: str | None = None,
    progress: bool | Progress = True,
    command: str | None = None,
) -> Result:
    """Make a fine-tuned encoder as fast as its accuracy budget allows.

    Without labelled text the budget is agreement with the model, whose own answers to `unlabelled`
    are what answers are compared with.

    Every finished stage is kept in `out`; the same call resumes after the last one.

    Args:
        model: Checkpoint folder, id of the hub, or a loaded model with its tokenizer, which are
            saved below `out`.
        data: Labelled text: a file or folder (csv, tsv, json, jsonl, parquet) or a data set's id of
            the hub; a `datasets.Dataset` or `DatasetDict`, a pandas DataFrame, or a dict of lists.
            None: there is none, and `unlabelled` is all the text.
        recipe: What to do; None is the balanced preset.
        out: Folder for artifacts, report and log; new, empty, or of an earlier run.
        unlabelled: More text of the task's kind, which the model labels: a .txt file with a text a
            line, or a list of texts; or a file or object with a table.
        students: Checkpoint folders or ids of the hub of smaller encoders, with or without a head:
            members are cut from the one that learns best, or from the model's own layers.
        text_column: Column of the text, where it is not found by its name.
        pair_column: Column of the second sentence of pairs, likewise.
        label_column: Column of the label, likewise.
        overwrite: Take over `out` where it was made from another model, other data or for another
            task; without it that is refused.
        remeasure: Measure anew what sizes cost on this machine, whatever is kept of earlier runs.
        device_profile: What `python -m benchmarks profile` wrote on the device that models are made
            for; None is this machine.
        device: Address of that device, such as `ssh://user@host`, to measure it, and what was made
            for it, over the system's ssh; it has numpy, tokenizers and a runtime.
        progress: Whether to show bars or lines; or where to report progress to.
        command: What the user typed, for the report.

    Returns:
        The result, also where no model met the budget (`Result.within_budget`).

    Raises:
        EdgepressError: Model, data, recipe or output folder cannot be used.
    """
    if data is None and unlabelled is None:
        raise UsageError("there is neither labelled text (data) nor unlabelled text")
    if data is not None and recipe is not None and recipe.min_agreement is not None:
        raise UsageError(
            "min_agreement is the budget of texts without labels; with labels it is max_drop",
            hint="leave out min_agreement; or pass the texts as unlabelled, and no data: their "
            "labels are not looked at then",
        )
    if device is not None:
        from compress.pipeline.remote import Address

        if data is None:
            raise UsageError(
                "a device's address needs labelled text, which artifacts are measured with there",
                hint="measure the device (edgepress profile), and pass its profile",
            )

        if device_profile is not None:
            raise UsageError("a device's address and its profile: one of them says enough")
        address = Address.read(device)  # before anything else: a mistake in it is answered at once
    with _quiet(progress, out) as shown:
        from compress.config.recipe import Recipe
        from compress.pipeline.run import run

        options: dict[str, Any] = {
            "progress": shown,
            "columns": NamedColumns(text_column, pair_column, label_column),
            "unlabelled": unlabelled,
            "students": tuple(map(str, students)),
            "overwrite": overwrite,
            "remeasure": remeasure,
            "command": command,
        }
        named, recipe = _as_named(model, Path(out)), recipe or Recipe()
        if device is None or data is None:
            profile = None if device_profile is None else Path(device_profile)
            report = run(named, data, Path(out), recipe, device_profile=profile, **options)
        else:
            from compress.pipeline.over_ssh import run_over_ssh

            report = run_over_ssh(address, named, data, Path(out), recipe, **options)
    return Result(Path(out), report)


def train(
    base: str | Path,
    data: "Data",
    *,
    task: str = DEFAULT_TASK,
    settings: "TrainingSettings | None" = None,
    out: str | Path = "teacher",
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    progress: bool | Progress = True,
    command: str | None = None,
) -> "Trained":
    """Fine-tune an encoder: the teacher that `compress` then makes fast.

    A training that was stopped goes on from its last evaluation when it is called again.

    Args:
        base: Checkpoint folder, id of the hub, or a size such as `bert-mini` to start from nothing.
        data: Labelled text, as for `compress`.
        task: What to train for, such as `token-classification`.
        settings: How to train; None is the default.
        out: Folder for the checkpoint; new, empty, or of an earlier training.
        text_column: Column of the text, where it is not found by its name.
        pair_column: Column of the second sentence of pairs, likewise.
        label_column: Column of the label, likewise.
        progress: Whether to show bars or lines; or where to report progress to.
        command: What the user typed, for the record.

    Raises:
        EdgepressError: Base, data, settings or output folder cannot be used.
    """
    with _quiet(progress, out) as shown:
        from compress.training.run import train as run_training
        from compress.training.settings import TrainingSettings

        return run_training(
            str(base),
            data,
            Path(out),
            settings or TrainingSettings(),
            task=task,
            columns=NamedColumns(text_column, pair_column, label_column),
            progress=shown,
            command=command,
        )


def pretrain(
    base: str | Path,
    data: str | Path,
    *,
    objective: "Objective" = "mlm",
    settings: "TrainingSettings | None" = None,
    out: str | Path = "teacher",
    text_column: str | None = None,
    progress: bool | Progress = True,
    command: str | None = None,
) -> "Pretrained":
    """Go on with the pre-training of an encoder on plain text.

    Args:
        base: Checkpoint folder, id of the hub, or a size such as `bert-mini` to start from nothing.
        data: A .txt file with a sentence a line and an empty line between documents, or a table
            with a column of texts.
        objective: `"mlm"`, or `"mlm+nsp"` with BERT's next-sentence prediction.
        settings: How to train; None is the default.
        out: Folder for the checkpoint; new, empty, or of an earlier training.
        text_column: Column of the texts, where it is not found by its name.
        progress: Whether to show bars or lines; or where to report progress to.
        command: What the user typed, for the record.

    Raises:
        EdgepressError: Base, data, settings or output folder cannot be used.
    """
    with _quiet(progress, out) as shown:
        from compress.training.pretraining import pretrain as run_pretraining
        from compress.training.settings import TrainingSettings

        return run_pretraining(
            str(base),
            str(data),
            Path(out),
            settings or TrainingSettings(),
            objective=objective,
            text_column=text_column,
            progress=shown,
            command=command,
        )


def benchmark(
    models: Sequence[str | Path],
    data: "Data",
    *,
    out: str | Path | None = None,
    rounds: int = 20,
    seed: int | None = None,
    threads: int | None = None,
    threads_curve: bool = False,
    devices: Sequence[str] = ("cpu",),
    precisions: Sequence[str] = ("fp32",),
    texts: int = MOST_TEXTS,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    progress: bool | Progress = True,
    command: str | None = None,
) -> Benchmark:
    """Measure any mix of models on the same data, against the first one.

    Args:
        models: Checkpoints and artifacts, each a folder or an id of the hub, and folders with ONNX
            or OpenVINO files.
        data: Labelled text, as for `compress`; the reported split is measured on.
        out: Folder for the report, or None.
        rounds: Interleaved rounds.
        seed: Seed of cutting the data; None is that of the artifact's run.
        threads: CPU threads; None for all cores.
        threads_curve: Whether to measure with fewer threads as well: 1, 2, 4 ...
        devices: Devices to run on.
        precisions: What PyTorch is to compute checkpoints in.
        texts: Texts in the report on which the first model and the second differ, at most; 0
            leaves them out.
        text_column: Column of the text, where it is not found by its name.
        pair_column: Column of the second sentence of pairs, likewise.
        label_column: Column of the label, likewise.
        progress: Whether to show bars or lines; or where to report progress to.
        command: What the user typed, for the report.

    Raises:
        EdgepressError: A model, the data or the folder cannot be used.
    """
    with _quiet(progress, out or Path()) as shown:
        from compress.evaluation.bench import bench_models

        return Benchmark(
            bench_models(
                models,
                data,
                columns=NamedColumns(text_column, pair_column, label_column),
                out=None if out is None else Path(out),
                rounds=rounds,
                seed=seed,
                threads=threads,
                threads_curve=threads_curve,
                devices=devices,
                precisions=precisions,
                texts=texts,
                progress=shown,
                command=command,
            )
        )


def merge(out: str | Path, measured: Sequence[str | Path]) -> Result:
    """Add what was measured on a device to the report of the run that was made for it.

    Args:
        out: The run's output folder, whose report is written anew.
        measured: Files that `python -m benchmarks run` wrote there.

    Raises:
        EdgepressError: The run was for no other device, or something else was measured.
    """
    from compress.pipeline.publish import merge_measured

    return Result(Path(out), merge_measured(Path(out), [Path(path) for path in measured]))


def profile_kit(
    model: str | Path,
    data: "Data | None" = None,
    *,
    out: str | Path = "kit",
    runtimes: Sequence[str] | None = None,
    max_length: int | None = None,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    progress: bool | Progress = True,
) -> "Kit":
    """Write a folder of probes, from which a device is profiled: `python -m benchmarks profile`.

    Args:
        model: Checkpoint folder, or id of the hub.
        data: Labelled text, as for `compress`, whose lengths are measured at; None: 8 to 64 tokens.
        out: The folder; new, empty, or an earlier kit, which is replaced.
        runtimes: Those to write probes for; None is all that artifacts have files for.
        max_length: Tokens kept of a text; None is the tokenizer's own.
        text_column: Column of the text, where it is not found by its name.
        pair_column: Column of the second sentence of pairs, likewise.
        label_column: Column of the label, likewise.
        progress: Whether to show bars or lines; or where to report progress to.

    Raises:
        EdgepressError: Model, data or folder cannot be used.
    """
    with _quiet(progress, out) as shown:
        from compress.pipeline.kit import make_kit

        return make_kit(
            str(model),
            Path(out),
            data=data,
            columns=NamedColumns(text_column, pair_column, label_column),
            max_length=max_length,
            runtimes=runtimes,
            progress=shown,
        )


def tune(
    artifact: str | Path,
    data: "Data",
    *,
    seed: int | None = None,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    progress: bool | Progress = True,
) -> "Tuning":
    """Find an artifact's fastest settings on this machine, and keep them beside it.

    Args:
        artifact: Its folder, or its id on the hub.
        data: Labelled text, as for `compress`; its reported split is asked.
        seed: Seed of cutting the data; None is that of the artifact's run.
        text_column: Column of the text, where it is not found by its name.
        pair_column: Column of the second sentence of pairs, likewise.
        label_column: Column of the label, likewise.
        progress: Whether to show bars or lines; or where to report progress to.

    Raises:
        EdgepressError: The artifact or the data cannot be used.
    """
    with _quiet(progress, artifact) as shown:
        from compress.evaluation.bench import tune_artifact
        from runtimes.hub import artifact_folder

        columns = NamedColumns(text_column, pair_column, label_column)
        return tune_artifact(
            artifact_folder(artifact), data, columns=columns, seed=seed, progress=shown
        )


def _as_named(model: Any, out: Path) -> str:
    """Return a model's path or id; one in memory is saved in a run's folder first."""
    if not isinstance(model, tuple):
        return str(model)
    from compress.encoder.in_memory import saved_checkpoint
    from compress.system.workspace import Workspace

    if len(model) != 2:
        raise UsageError(
            f"a model in memory is a pair, not {len(model)} objects",
            hint="pass (model, tokenizer)",
        )
    return str(saved_checkpoint(*model, Workspace(out).models))


@contextmanager
def _quiet(progress: bool | Progress, out: str | Path) -> Iterator[Progress]:
    """Leave the caller's process as it was; give where to report progress to."""
    from compress.system.caller import unchanged_process
    from compress.system.memory import naming_exhausted_memory
    from compress.system.room import naming_full_disks

    if isinstance(progress, bool):
        progress = fitting_progress() if progress else SilentProgress()
    with naming_exhausted_memory(), unchanged_process(), naming_full_disks(Path(out)):
        yield progress


def _table(report: "Report") -> "pd.DataFrame":
    import io

    import pandas as pd

    from benchmarks.render.table import render_csv

    return pd.read_csv(io.StringIO(render_csv(report)))


def _html(report: "Report") -> str:
    """Return the report in a frame of its own, so that its style stays out of the notebook."""
    from benchmarks.render.headline import title_of
    from benchmarks.render.html import render_html

    document, title = escape(render_html(report)), escape(title_of(report))
    style = "width: 100%; height: 45rem; border: 0"
    return f'<iframe srcdoc="{document}" style="{style}" title="{title}"></iframe>'
