"""Prepares a run: opens the model and the data, and measures what sizes cost on this machine."""

import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress.data import Data, Splits, load_splits, split_unlabelled
from compress.data.columns import NamedColumns
from compress.data.tokenized import kept_length
from compress.data.vocabulary import vocabulary_of
from compress.errors import NoLabelsError
from compress.pipeline.inputs import Job
from compress.search.family import check_stages
from compress.stages import by_latency, planned_quantization
from compress.system.hub import local_checkpoint
from compress.system.program import program
from runtimes.hf_config import problem_type_of, read_hf_config
from runtimes.registry import get_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from compress.encoder.importers.registry import Imported
    from compress.encoder.modules import LeanEncoderWithHead
    from compress.latency.table import LatencyTable
    from compress.stages.base import Context, Encoder

__all__ = [
    "Fitted",
    "Start",
    "fitted_to_texts",
    "latency_table",
    "measured_table",
    "prepare",
    "quantiles",
    "read_data",
    "read_unlabelled",
    "scratch_of",
]

_log = logging.getLogger("edgepress")

_LENGTHS = 1024  # quantiles of the training texts' lengths that the latency table is measured on


@dataclass(frozen=True)
class Start:
    """State that a run begins with.

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


def prepare(job: Job, config: Any) -> Start:
    """Import the model and let the stages check it; writes nothing.

    Args:
        config: What `read_config` gave.

    Raises:
        EdgepressError: The model cannot be used, or the recipe does not fit it.
    """
    from compress.corpus.corpus import Material
    from compress.encoder.checkpoint import load_checkpoint
    from compress.encoder.folding import UnsupportedArchitectureError
    from compress.encoder.importers.registry import import_encoder
    from compress.stages.base import Context, Encoder

    try:
        with job.progress.track("importing the model", 1) as task:
            imported = import_encoder(job.checkpoint)
            task.advance()
    except UnsupportedArchitectureError as error:
        load_checkpoint(job.checkpoint, config)  # refuses one without a trained classifier
        remark = f"{error.message}. It was exported and quantized without pruning or distillation."
        return Start(remarks=(remark,))
    fitted = fitted_to_texts(
        imported,
        job.checkpoint,
        pairs=job.splits.train.pairs is not None,
        task=job.splits.train.task,
        max_length=job.recipe.max_length,
    )
    module, max_length = fitted.module, fitted.max_length
    delta = f"logits differ by at most {imported.max_abs_delta:.1e}"
    notes = [*imported.notes, delta, *fitted.notes]
    encoder = Encoder(module=module, tokenizer=imported.tokenizer)
    context = Context(
        recipe=job.recipe,
        teacher=encoder,
        train=job.splits.train,
        material=Material(
            module,
            imported.tokenizer,
            job.splits.train,
            job.splits.selection,
            unlabelled=job.unlabelled,
            max_length=max_length,
            seed=job.recipe.seed,
            scratch=scratch_of(job),
        ),
        max_length=max_length,
        progress=job.progress,
    )
    check_stages(encoder, context)
    return Start(encoder, context, tuple(notes))


@dataclass(frozen=True)
class Fitted:
    """An imported model without what texts of a kind never ask for.

    Attributes:
        module: It.
        max_length: Tokens kept of a text.
        notes: What was left out, for the log.
    """

    module: "LeanEncoderWithHead"
    max_length: int
    notes: tuple[str, ...]


def fitted_to_texts(
    imported: "Imported", checkpoint: Path, *, pairs: bool, task: str, max_length: int | None
) -> Fitted:
    """Fold token types where texts are single sentences, and cut positions past what is kept.

    Args:
        imported: From `import_encoder`.
        checkpoint: Its folder.
        pairs: Whether texts are pairs.
        task: What the model is for.
        max_length: Tokens kept of a text; None is what model and tokenizer allow.
    """
    from compress.encoder.surgery import fold_token_types, keep_positions

    module, notes = imported.model, []
    if not pairs and module.config.type_vocab_size:
        module = fold_token_types(module)
        notes.append("token types folded, the texts are single sentences")
    kept = kept_length(max_length, module.config, imported.tokenizer, task)
    if max_length is None:  # what the reference keeps: folders may say it elsewhere
        kept = min(kept, read_hf_config(checkpoint).max_length)
    if kept < module.config.max_position_embeddings:
        module = keep_positions(module, kept)
        notes.append(f"positions past {kept} removed, as texts are cut there")
    return Fitted(module, kept, tuple(notes))


def scratch_of(job: Job) -> Path:
    """Return the folder in which this process keeps the teacher's outputs."""
    from compress.system.distributed import rank

    return job.workspace.scratch / f"process-{rank()}" if rank() else job.workspace.scratch


def latency_table(job: Job, encoder: "Encoder", context: "Context") -> "LatencyTable | None":
    """Return what sizes cost where models will answer; None where nothing is pruned by it."""
    if not by_latency(job.recipe):
        return None
    if job.device is not None:
        _log.info("latency table: the device's")
        return job.device.table
    from compress.system.distributed import on_main

    return on_main(lambda: measured_table(job, encoder, context))


def measured_table(job: Job, encoder: "Encoder", context: "Context") -> "LatencyTable":
    """Return what sizes cost on this machine, measured now or before."""
    from compress.latency.measurement import cached_latency_table, default_cache_folder
    from compress.latency.probe import Conditions

    conditions = Conditions(
        quantiles(context.material.texts.lengths),
        plan=planned_quantization(job.recipe),
        threads=job.recipe.threads,
        seconds=job.recipe.benchmark.latency_table_seconds,
        scratch=job.workspace.scratch,
    )
    table = cached_latency_table(
        default_cache_folder(),
        encoder.module.config,
        conditions,
        job.progress,
        doubtful=job.workspace.tables,
        remeasure=job.remeasure,
    )
    said = f"latency table {table.describe()} (--remeasure makes it anew)"
    with job.progress.track(said, 1) as task:
        task.advance()
    _log.info("latency table: %s", table.to_json())
    return table


def quantiles(lengths: "NDArray[np.int64]") -> list[int]:
    """Return evenly spaced quantiles of texts' lengths.

    They are no sample: runs that differ in their seed alone share a table.
    """
    shares = np.linspace(0, 1, _LENGTHS)
    found: list[int] = np.quantile(lengths, shares, method="nearest").tolist()
    return found


def read_data(model: str, data: Data, config: Any, columns: NamedColumns, seed: int) -> Splits:
    """Read labelled text for a model.

    Args:
        model: Its folder or id.
        data: As for `compress.data.load_splits`.
        config: What `read_config` gave.
        columns: Names of columns that convention does not find.
        seed: Of cutting it.

    Raises:
        NoLabelsError: There are no labels; names the command that does without.
        DataError: The data cannot be read, or do not fit the model.
    """
    try:
        return load_splits(
            data, columns=columns, seed=seed, share=True, **_asked_for(model, config)
        )
    except NoLabelsError as error:
        file = "FILE"
        if isinstance(data, str | os.PathLike) and Path(data).is_file():
            file = str(data)
        without = shlex.join([*program(), model, "--unlabelled", file, "--min-agreement", "99"])
        raise NoLabelsError(
            error.message,
            hint=f"{error.hint} Without labels, agreement with the original model can be the "
            f"budget: {without}",
        ) from error


def read_unlabelled(
    model: str, data: Data, config: Any, columns: NamedColumns, seed: int
) -> Splits:
    """Read text for a model that nobody labelled; as `read_data`."""
    return split_unlabelled(data, columns=columns, seed=seed, **_asked_for(model, config))


def _asked_for(model: str, config: Any) -> dict[str, Any]:
    """Return what a model's data are read for."""
    from compress.encoder.task import task_of_checkpoint

    task = task_of_checkpoint(config)
    labels: Sequence[str] = [config.id2label[index] for index in range(config.num_labels)]
    if get_task(task).SPEC.of_vocabulary:
        labels = vocabulary_of(local_checkpoint(model))
    return {
        "label_names": labels,
        "task": task,
        "problem_type": problem_type_of(config.problem_type, config.num_labels),
    }
