"""A whole run: from a checkpoint and data to a recommended artifact and the table for it."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress.config.recipe import Recipe, render_recipe
from compress.data import Splits, load_splits, load_unlabelled
from compress.data.splitting import fingerprint
from compress.data.tokenized import kept_length
from compress.data.vocabulary import vocabulary_of
from compress.pipeline.finalize import Result, conclude
from compress.pipeline.inputs import Family, Job
from compress.search.family import (
    Member,
    Staged,
    check_stages,
    export_member,
    fallback_member,
    run_stages,
)
from compress.system.hub import hub_if_reachable
from compress.system.logs import logging_to, quiet_transformers
from compress.system.progress import Progress, SilentProgress
from compress.system.workspace import Workspace, digest
from runtimes.hf_config import problem_type_of, read_hf_config

if TYPE_CHECKING:
    from compress.latency.table import LatencyTable
    from compress.stages.base import Context, Encoder

__all__ = ["Columns", "Result", "run"]

_log = logging.getLogger("edgepress")

_LENGTHS = 1024  # quantiles of the training texts' lengths that the latency table is measured on
_CONCLUSION_MINUTES = 8.0  # of a time budget, for exporting and measuring the family


@dataclass(frozen=True)
class Columns:
    """Columns of the data, where convention does not find them."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None


def run(
    model: str,
    data: str,
    out: Path,
    recipe: Recipe,
    *,
    progress: Progress,
    columns: Columns | None = None,
    unlabelled: Path | None = None,
    command: str | None = None,
) -> Result | None:
    """Compress `model` inside the recipe's accuracy budget.

    Every finished stage is kept in `out`; the same call resumes after the last one. Of several
    processes (`accelerate launch`) all train, and the first one does the rest; the others get None.

    Args:
        model: Checkpoint folder or hub id.
        data: File, folder or hub dataset id, see `compress.data.load_splits`.
        out: Folder for everything the run writes.
        recipe: What to do.
        progress: Where to report progress.
        columns: Names of columns that convention does not find.
        unlabelled: More text of the task's kind, see `compress.data.load_unlabelled`.
        command: What the user typed, for the report.

    Raises:
        EdgepressError: Bad model, data, recipe or output folder; nothing was half-written.
    """
    started = time.monotonic()
    quiet_transformers()
    # Everything that can be wrong with the input is found before the output folder is touched.
    workspace = Workspace(out)
    config = _read_config(model)
    columns = columns or Columns()
    splits = _read_data(model, data, config, columns, recipe.seed)
    more = None
    if unlabelled is not None:
        more = load_unlabelled(
            unlabelled, splits, text_column=columns.text, pair_column=columns.pair
        )
    checkpoint = _local(model)
    # torch: not before the input is known to be good
    from compress.system.distributed import from_main, is_main, wait

    if not is_main():
        progress = SilentProgress()
    job = Job(model, data, checkpoint, splits, more, recipe, workspace, progress, command)
    # The first process's deadline: clocks of several machines have nothing in common.
    start, deadline = _prepare(job, config), from_main(_deadline(recipe, started))
    if is_main():
        workspace.create()
    wait()
    if not is_main():
        _help(job, start, deadline)
        return None
    with logging_to(workspace.log):
        _log.info("run: %s", command or f"{model} on {data}")
        (out / "recipe.yaml").write_text(
            render_recipe(recipe, command or f"compress {model} --data {data}"), encoding="utf-8"
        )
        for note in splits.notes:
            _log.info("data: %s", note)
        if more is not None:
            _log.info("data: %d unlabelled texts from %s", len(more), unlabelled)
        for note in start.notes:
            _log.info("import: %s", note)
        result = conclude(job, _family(job, start, deadline), start.remarks)
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


def _prepare(job: Job, config: Any) -> _Start:
    """Import the model and let the stages check it; writes nothing.

    Args:
        config: What `read_config` gave.

    Raises:
        EdgepressError: The model cannot be used, or the recipe does not fit it.
    """
    from compress.corpus.corpus import Material
    from compress.encoder import UnsupportedArchitectureError, fold_token_types, keep_positions
    from compress.encoder.checkpoint import load_checkpoint
    from compress.encoder.importing import import_checkpoint
    from compress.stages.base import Context, Encoder

    try:
        with job.progress.track("importing the model", 1) as task:
            imported = import_checkpoint(job.checkpoint)
            task.advance()
    except UnsupportedArchitectureError as error:
        load_checkpoint(job.checkpoint, config)  # refuses one without a trained classifier
        remark = f"{error.message}. It was exported and quantized without pruning or distillation."
        return _Start(remarks=(remark,))
    notes = [*imported.notes, f"logits differ by at most {imported.max_abs_delta:.1e}"]
    module = imported.model
    if job.splits.train.pairs is None and module.config.type_vocab_size:
        module = fold_token_types(module)
        notes.append("token types folded, the texts are single sentences")
    max_length = kept_length(
        job.recipe.max_length, module.config, imported.tokenizer, job.splits.train.task
    )
    if job.recipe.max_length is None:  # what the reference keeps: folders may say it elsewhere
        max_length = min(max_length, read_hf_config(job.checkpoint).max_length)
    if max_length < module.config.max_position_embeddings:
        module = keep_positions(module, max_length)
        notes.append(f"positions past {max_length} removed, as texts are cut there")
    encoder = Encoder(module=module, tokenizer=imported.tokenizer)
    context = Context(
        recipe=job.recipe,
        teacher=encoder,
        train=job.splits.train,
        material=Material(
            encoder,
            job.splits.train,
            job.splits.selection,
            unlabelled=job.unlabelled,
            max_length=max_length,
            seed=job.recipe.seed,
            scratch=_scratch(job),
        ),
        max_length=max_length,
        progress=job.progress,
    )
    check_stages(encoder, context)
    return _Start(encoder, context, tuple(notes))


def _deadline(recipe: Recipe, started: float) -> float | None:
    """Until when members are made, so that exporting and measuring them fits into the time too."""
    if recipe.time_budget_minutes is None:
        return None
    return started + 60 * (recipe.time_budget_minutes - _CONCLUSION_MINUTES)


def _help(job: Job, start: _Start, deadline: float | None) -> None:
    """What a process does that is not the first one: it takes part in training."""
    if start.encoder is not None and start.context is not None:
        _scratch(job).mkdir(parents=True, exist_ok=True)
        _staged(job, start.encoder, start.context, deadline)


def _scratch(job: Job) -> Path:
    """Where this process keeps what the teacher says."""
    from compress.system.distributed import rank

    return job.workspace.scratch / f"process-{rank()}" if rank() else job.workspace.scratch


def _family(job: Job, start: _Start, deadline: float | None) -> Family:
    """The family, exported, and what it is to be compared with."""
    encoder, context = start.encoder, start.context
    staged: list[Staged] = []
    if encoder is not None and context is not None:
        staged, context = _staged(job, encoder, context, deadline)
    for remark in start.remarks:
        _log.warning("%s", remark)
    with job.stock_exports() as rivals:
        members = [_fallback(job)] if context is None else _exported(job, staged, context)
        return Family(members, rivals.subjects(job.recipe.threads, job.progress), staged, context)


def _staged(
    job: Job, encoder: "Encoder", context: "Context", deadline: float | None
) -> "tuple[list[Staged], Context]":
    more = None if job.unlabelled is None else fingerprint((job.unlabelled,))
    key = digest(job.model_key, job.splits.fingerprint, context.max_length, more)
    with context.material:
        context = replace(context, latency=_latency_table(job, encoder, context))
        return run_stages(encoder, context, job.workspace, key, deadline=deadline), context


def _exported(job: Job, staged: Sequence[Staged], context: "Context") -> list[Member]:
    members = []
    with job.progress.track("exporting", len(staged)) as task:
        for member in staged:
            members.append(export_member(member, context, job.workspace))
            task.advance()
    return members


def _latency_table(job: Job, encoder: "Encoder", context: "Context") -> "LatencyTable | None":
    """What sizes cost on this machine; None where nothing is pruned by it."""
    if not job.recipe.by_latency:
        return None
    from compress.system.distributed import from_main, is_main

    return from_main(_measured_table(job, encoder, context) if is_main() else None)


def _measured_table(job: Job, encoder: "Encoder", context: "Context") -> "LatencyTable":
    from compress.latency.measurement import cached_latency_table, default_cache_folder
    from compress.stages.quantize import quantization_plan

    # Not a sample: runs that differ in their seed alone share a table.
    shares = np.linspace(0, 1, _LENGTHS)
    lengths = np.quantile(context.material.texts.lengths, shares, method="nearest")
    table = cached_latency_table(
        default_cache_folder(),
        encoder.module.config,
        lengths.tolist(),
        plan=quantization_plan(job.recipe),
        threads=job.recipe.threads,
        progress=job.progress,
    )
    _log.info("latency table: %s", table.to_json())
    return table


def _fallback(job: Job) -> Member:
    recipe = job.recipe
    settings = (recipe.max_length, recipe.quantize.calibration_texts)
    key = digest(job.model_key, job.splits.fingerprint, "fallback", settings)
    with job.progress.track("exporting", 1) as task:
        member = fallback_member(job.checkpoint, job.splits.train, job.recipe, job.workspace, key)
        task.advance()
    return member


def _read_config(model: str) -> Any:
    from compress.encoder.checkpoint import read_config

    return read_config(model)


def _read_data(model: str, data: str, config: Any, columns: Columns, seed: int) -> Splits:
    from compress.encoder.checkpoint import task_of_checkpoint

    task = task_of_checkpoint(config)
    labels: Sequence[str] = [config.id2label[index] for index in range(config.num_labels)]
    if task == "fill-mask":
        labels = vocabulary_of(_local(model))
    return load_splits(
        data,
        label_names=labels,
        task=task,
        problem_type=problem_type_of(config.problem_type, config.num_labels),
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
