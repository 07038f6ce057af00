"""Makes a kit of probes, from which a device that answers can be profiled."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.profiling.kit import KIT_NAME, Kit
from compress.data import Data
from compress.data.columns import NamedColumns
from compress.errors import ModelError, UsageError
from compress.pipeline.prepare import fitted_to_texts, quantiles, read_data
from compress.system.hub import local_checkpoint
from compress.system.progress import Progress
from export.targets.registry import target_names
from runtimes.errors import did_you_mean
from runtimes.folders import partial_folder, remove

__all__ = ["make_kit"]

_SHORTEST, _LONGEST = 8, 64  # tokens of texts that nothing is known of


def make_kit(
    model: str,
    out: Path,
    *,
    data: "Data | None" = None,
    columns: NamedColumns | None = None,
    max_length: int | None = None,
    runtimes: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress,
) -> Kit:
    """Write a folder of probes for a device to measure; an earlier kit there is replaced.

    Args:
        model: Checkpoint folder or hub id.
        out: The folder.
        data: Labelled text, whose lengths are measured at; of its words nothing is kept. None: 8 to
            64 tokens, single sentences.
        columns: Names of columns that convention does not find.
        max_length: Tokens kept of a text; None is the tokenizer's own.
        runtimes: Those to write probes for; None is all that artifacts have files for.
        seed: Of cutting the data.
        progress: Where to report progress.

    Raises:
        UsageError: `out` holds something else, or there is no such runtime.
        ModelError: The model cannot be used, or its family has no importer.
        DataError: The data cannot be read, or do not fit it.
    """
    _check(out, runtimes)
    from compress.encoder.checkpoint import read_config
    from compress.encoder.folding import UnsupportedArchitectureError
    from compress.encoder.importers.registry import import_encoder
    from compress.encoder.task import task_of_checkpoint
    from compress.latency.kit import write_kit
    from runtimes.tokenization import Tokenizer

    config = read_config(model)
    splits = (
        None if data is None else read_data(model, data, config, columns or NamedColumns(), seed)
    )
    checkpoint = local_checkpoint(model)
    try:
        imported = import_encoder(checkpoint)
    except UnsupportedArchitectureError as error:
        raise ModelError(
            f"{error.message}: nothing is pruned by what its sizes cost",
            hint="measure the artifact there: python -m benchmarks run ARTIFACT --data DATA",
        ) from error
    fitted = fitted_to_texts(
        imported,
        checkpoint,
        pairs=splits is not None and splits.train.pairs is not None,
        task=task_of_checkpoint(config),
        max_length=max_length,
    )
    kept = fitted.max_length
    if splits is None:
        lengths = np.linspace(min(_SHORTEST, kept), min(_LONGEST, kept)).astype(int).tolist()
    else:
        tokenizer = Tokenizer.from_folder(checkpoint, max_length=kept)
        lengths = quantiles(tokenizer.rows(splits.train.inputs()).lengths)
    out.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(out) as partial:
        try:
            write_kit(
                partial,
                fitted.module.config,
                checkpoint,
                lengths,
                name=Path(model).name,
                runtimes=runtimes,
                progress=progress,
            )
        except ValueError as error:
            raise ModelError(f"{model}: {error}") from error
        remove(out)
        partial.rename(out)
    return Kit.read(out)


def _check(out: Path, runtimes: Sequence[str] | None) -> None:
    """Refuse before minutes of work what would be refused after them."""
    for name in runtimes or ():
        if name not in target_names():
            raise UsageError(
                f"there is no runtime {name!r} for artifacts",
                hint=did_you_mean(name, target_names())
                or f"there are: {', '.join(target_names())}",
            )
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / KIT_NAME).is_file()):
        raise UsageError(
            f"--out {out} holds something that is no kit; nothing was touched",
            hint="name a new folder",
        )
