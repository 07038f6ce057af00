"""A whole run: from a checkpoint and data to a recommended artifact and the table for it."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.latency import LatencySettings
from benchmarks.report import Report, Row
from benchmarks.subjects import Subject
from compress.data import Splits, load_splits
from compress.errors import UsageError
from compress.family import Member, check_stages, export_member, fallback_member, run_stages
from compress.hub import hub_if_reachable
from compress.logs import logging_to, quiet_transformers
from compress.measure import (
    REFERENCE,
    candidates,
    reference_subject,
    run_benchmark,
    stock_subjects,
)
from compress.progress import Progress
from compress.publish import publish
from compress.recipe import Recipe, render_recipe
from compress.search import Choice, choose
from compress.version import tool_version
from compress.workspace import Workspace, digest, file_digest

if TYPE_CHECKING:
    from compress.stages.base import Context, Encoder

__all__ = ["Columns", "Result", "run"]

_log = logging.getLogger("edgepress")

# Enough to rank members whose speed differs by some percent; the final table takes more.
_SELECTION = LatencySettings(
    rounds=6, sentences=20, seconds=60.0, min_rounds=3, throughput_inputs=0
)
_SENTENCES = 25
_LONGEST = 512  # tokens kept of a text where the tokenizer states no limit of its own


@dataclass(frozen=True)
class Columns:
    """Columns of the data, where convention does not find them."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        report: The final table.
        artifact: The recommended artifact; None where no member met the budget.
    """

    report: Report
    artifact: Path | None


def run(
    model: str,
    data: str,
    out: Path,
    recipe: Recipe,
    *,
    progress: Progress,
    columns: Columns | None = None,
    command: str | None = None,
) -> Result:
    """Compress `model` inside the recipe's accuracy budget.

    Every finished stage is kept in `out`; the same call resumes after the last one.

    Args:
        model: Checkpoint folder or hub id.
        data: File, folder or hub dataset id, see `compress.data.load_splits`.
        out: Folder for everything the run writes.
        recipe: What to do.
        progress: Where to report progress.
        columns: Names of columns that convention does not find.
        command: What the user typed, for the report.

    Raises:
        EdgepressError: Bad model, data, recipe or output folder; nothing was half-written.
    """
    quiet_transformers()
    # Everything that can be wrong with the input is found before the output folder is touched.
    workspace = Workspace(out)
    config = _read_config(model)
    splits = _read_data(data, config, columns or Columns(), recipe.seed)
    checkpoint = _local(model)
    job = _Job(model, data, checkpoint, splits, recipe, workspace, progress, command)
    start = job.prepare(config)
    workspace.create()
    with logging_to(workspace.log):
        _log.info("run: %s", command or f"{model} on {data}")
        (out / "recipe.yaml").write_text(
            render_recipe(recipe, command or f"compress {model} --data {data}"), encoding="utf-8"
        )
        for note in splits.notes:
            _log.info("data: %s", note)
        for note in start.notes:
            _log.info("import: %s", note)
        result = job.finish(job.members(start), start.remarks)
        workspace.close()
        _log.info("done")
    return result


@dataclass(frozen=True)
class _Start:
    """What a run begins with.

    Attributes:
        encoder: The imported model; None for a family without an importer.
        context: What stages may use; None likewise.
        notes: What importing did, for the log.
        remarks: What the reader of the report has to know.
    """

    encoder: "Encoder | None" = None
    context: "Context | None" = None
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    """What every part of a run needs."""

    model: str
    data: str
    checkpoint: Path
    splits: Splits
    recipe: Recipe
    workspace: Workspace
    progress: Progress
    command: str | None

    @property
    def name(self) -> str:
        """The model's name for people."""
        return Path(self.model).name

    def prepare(self, config: Any) -> _Start:
        """Import the model and let the stages check it; writes nothing.

        Args:
            config: What `read_config` gave.

        Raises:
            EdgepressError: The model cannot be used, or the recipe does not fit it.
        """
        from compress.encoder import UnsupportedArchitectureError, fold_token_types
        from compress.encoder.checkpoint import load_checkpoint
        from compress.encoder.importing import import_checkpoint
        from compress.stages.base import Context, Encoder

        try:
            with self.progress.track("importing the model", 1) as task:
                imported = import_checkpoint(self.checkpoint)
                task.advance()
        except UnsupportedArchitectureError as error:
            load_checkpoint(self.checkpoint, config)  # refuses one without a trained classifier
            remark = (
                f"{error.message}. It was exported and quantized without pruning or distillation."
            )
            return _Start(remarks=(remark,))
        notes = [*imported.notes, f"logits differ by at most {imported.max_abs_delta:.1e}"]
        module = imported.model
        if self.splits.train.pairs is None and module.config.type_vocab_size:
            module = fold_token_types(module)
            notes.append("token types folded, the texts are single sentences")
        encoder = Encoder(module=module, tokenizer=imported.tokenizer)
        context = Context(
            recipe=self.recipe,
            teacher=encoder,
            train=self.splits.train,
            selection=self.splits.selection,
            max_length=self._max_length(module.config, imported.tokenizer),
            progress=self.progress,
            scratch=self.workspace.scratch,
        )
        check_stages(encoder, context)
        return _Start(encoder, context, tuple(notes))

    def members(self, start: _Start) -> list[Member]:
        """The family, exported."""
        if start.encoder is None or start.context is None:
            for remark in start.remarks:
                _log.warning("%s", remark)
            return [self._fallback()]
        return self._staged(start.encoder, start.context)

    def _staged(self, encoder: "Encoder", context: "Context") -> list[Member]:
        key = digest(self._model_key(), self.splits.fingerprint, context.max_length)
        staged = run_stages(encoder, context, self.workspace, key)
        with self.progress.track("exporting", len(staged)) as task:
            members = []
            for name, key, member in staged:
                members.append(export_member(name, key, member, context, self.workspace))
                task.advance()
        return members

    def _fallback(self) -> Member:
        recipe = self.recipe
        settings = (recipe.max_length, recipe.quantize.calibration_texts)
        key = digest(self._model_key(), self.splits.fingerprint, "fallback", settings)
        with self.progress.track("exporting", 1) as task:
            member = fallback_member(
                self.checkpoint, self.splits.train, self.recipe, self.workspace, key
            )
            task.advance()
        return member

    def finish(self, members: list[Member], remarks: tuple[str, ...]) -> Result:
        """Choose on the selection split, measure on the reported one, publish."""
        reference = reference_subject(self.checkpoint, self.name, self.recipe.threads)
        runtimes = _runtimes_present()
        subjects = candidates(members, runtimes, self.recipe.threads)
        choice = self._choose(reference, subjects)
        for reason in choice.reasons:
            _log.info("decision: %s", reason)
        chosen = next((s for s in subjects if s.id == choice.row_id), None)
        report = self._final_report(reference, subjects, members, chosen)
        report = replace(
            report,
            recommended=choice.row_id,
            data={
                **report.data,
                "source": self.data,
                "fingerprint": self.splits.fingerprint,
                "splits": {
                    "train": len(self.splits.train),
                    "selection": len(self.splits.selection),
                    "report": len(self.splits.report),
                },
                "notes": list(self.splits.notes),
            },
            budget={"max_drop": self.recipe.max_drop, "effort": self.recipe.effort},
            decisions=choice.reasons,
            family=tuple(
                {
                    "name": member.name,
                    "description": member.description,
                    "lineage": [dict(step) for step in member.lineage],
                }
                for member in members
            ),
            notes=(*report.notes, *remarks),
            command=self.command,
        )
        member = None if chosen is None else _member_of(chosen, members)
        artifact = publish(report, members, member, self.workspace, self.name, self.data)
        return Result(report, artifact)

    def _choose(self, reference: Subject, subjects: list[Subject]) -> Choice:
        report = run_benchmark(
            [reference, *subjects],
            self.splits.selection,
            _SELECTION,
            seed=self.recipe.seed,
            progress=self.progress,
            title="choosing",
        )
        rows: list[Row] = [row for row in report.rows if row.id != REFERENCE]
        return choose(
            rows,
            max_drop=self.recipe.max_drop,
            confidence=self.recipe.confidence,
            names={row.id: f"{row.model}, {row.runtime} {row.precision}" for row in rows},
        )

    def _final_report(
        self,
        reference: Subject,
        subjects: list[Subject],
        members: list[Member],
        chosen: Subject | None,
    ) -> Report:
        """The table: the original, its stock exports, and ours.

        Of the family, every member is shown on the runtime of the recommended row, and the
        recommended one on every runtime.
        """
        fast = self.recipe.effort == "fast"
        stock = stock_subjects(
            self.checkpoint,
            self.workspace,
            digest(
                self._model_key(),
                self.splits.fingerprint,
                self.recipe.quantize.calibration_texts,
            ),
            self._calibration(),
            self.recipe.threads,
            self.progress,
            # NNCF calibrates for half a minute, more than a fast run has to spare for a rival
            without=("openvino-int8",) if fast else (),
        )
        runtime = subjects[0].runtime if chosen is None else chosen.runtime
        shown = [
            subject
            for subject in subjects
            if subject.runtime == runtime or (chosen and subject.path == chosen.path)
        ]
        if chosen is not None:
            checkpoint = _member_of(chosen, members).checkpoint
            if checkpoint is not None:
                name = chosen.model.split(":")[0]
                shown.append(
                    replace(
                        chosen,
                        id=f"{name}-pytorch",
                        kind="checkpoint",
                        path=checkpoint,
                        runtime="pytorch",
                        precision="fp32",
                    )
                )
        return run_benchmark(
            [reference, *stock, *shown],
            self.splits.report,
            LatencySettings(
                rounds=self.recipe.benchmark_rounds,
                sentences=_SENTENCES,
                seconds=240.0,
                throughput_inputs=0 if fast else 512,
            ),
            seed=self.recipe.seed,
            progress=self.progress,
            title="measuring",
        )

    def _calibration(self) -> list[dict[str, Any]]:
        from compress.family import sample
        from runtimes.tokenization import Tokenizer

        tokenizer = Tokenizer.from_folder(self.checkpoint)
        texts = sample(self.splits.train, self.recipe.quantize.calibration_texts)
        return [tokenizer.encode([text]) for text in texts]

    def _model_key(self) -> str:
        files = sorted([*self.checkpoint.glob("*.safetensors"), *self.checkpoint.glob("*.json")])
        return digest(tool_version(), [(file.name, file_digest(file)) for file in files])

    def _max_length(self, config: Any, tokenizer: Any) -> int:
        """Tokens kept of a text: what was asked for, as far as the model and tokenizer go."""
        limit = min(config.max_position_embeddings, tokenizer.model_max_length, _LONGEST)
        wanted = self.recipe.max_length
        if wanted is not None and wanted > config.max_position_embeddings:
            raise UsageError(
                f"max_length={wanted}, but the model has {config.max_position_embeddings} positions"
            )
        return wanted or int(limit)


def _member_of(subject: Subject, members: list[Member]) -> Member:
    return next(member for member in members if member.artifact == subject.path)


def _read_config(model: str) -> Any:
    from compress.encoder.checkpoint import read_config

    return read_config(model)


def _read_data(data: str, config: Any, columns: Columns, seed: int) -> Splits:
    labels = [config.id2label[index] for index in range(config.num_labels)]
    return load_splits(
        data,
        label_names=labels,
        text_column=columns.text,
        pair_column=columns.pair,
        label_column=columns.label,
        seed=seed,
    )


def _local(model: str) -> Path:
    """The checkpoint's folder; a model of the hub is downloaded, its pickles are not."""
    path = Path(model).expanduser()
    if path.exists():
        return path.resolve()
    from huggingface_hub import snapshot_download

    with hub_if_reachable():
        return Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.txt"]))


def _runtimes_present() -> list[str]:
    """Runtimes of artifacts that this machine has, the usual first choice first."""
    from runtimes.registry import devices

    found = [device.runtime for device in devices() if device.available and device.device == "cpu"]
    return [name for name in ("onnxruntime", "openvino") if name in found]
