"""A run for a device that ssh reaches: it is measured first, and the result is measured there."""

import csv
import io
import logging
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, Scores
from benchmarks.profiling.profile import DeviceProfile
from benchmarks.report import Report
from compress.config.recipe import Recipe
from compress.data import Data
from compress.data.columns import NamedColumns
from compress.errors import ProfileError
from compress.pipeline.kit import make_kit
from compress.pipeline.prepare import read_data
from compress.pipeline.publish import merge_measured, published_artifacts
from compress.pipeline.remote import Address, connected
from compress.pipeline.run import run
from compress.system.cache import user_cache_dir
from compress.system.fingerprint import checkpoint_files, digest
from compress.system.hub import local_checkpoint
from compress.system.progress import Progress
from runtimes.folders import write_text
from runtimes.versions import tool_version

__all__ = ["run_over_ssh"]

_log = logging.getLogger("edgepress")


def run_over_ssh(
    address: Address,
    model: str,
    data: Data,
    out: Path,
    recipe: Recipe,
    *,
    progress: Progress,
    columns: NamedColumns | None = None,
    remeasure: bool = False,
    **options: Any,
) -> "Report | None":
    """Measure a device, make a family for it, and measure that there.

    Args:
        address: Of the device.
        model: As in `compress.pipeline.run.run`; so are the others.
        data: As for that.
        out: Likewise.
        recipe: Likewise.
        progress: Likewise.
        columns: Likewise.
        remeasure: Measure the device anew, whatever is kept of earlier runs.
        options: The other arguments of `run`.

    Raises:
        DeviceUnavailableError: The device cannot be reached.
        ProfileError: It cannot be measured.
        EdgepressError: As `run`.
    """
    from compress.system.distributed import is_main, on_main

    columns = columns or NamedColumns()
    with tempfile.TemporaryDirectory(prefix="edgepress-device-") as made:
        profile = on_main(
            lambda: _profiled(
                address, model, data,
                columns=columns, recipe=recipe,
                remeasure=remeasure, scratch=Path(made), progress=progress,
            )
        )  # fmt: skip
        report = run(
            model, data, out, recipe,
            progress=progress, columns=columns, device_profile=profile, **options,
        )  # fmt: skip
        if report is None or not is_main():
            return None
        return _measured(
            address, report, out, model, data,
            columns=columns, seed=recipe.seed, scratch=Path(made), progress=progress,
        )  # fmt: skip


def _profiled(
    address: Address,
    model: str,
    data: Data,
    *,
    columns: NamedColumns,
    recipe: Recipe,
    remeasure: bool,
    scratch: Path,
    progress: Progress,
) -> Path:
    """Return the file of a device's profile, which is measured once for a model and its data."""
    config, seconds = _config(model), recipe.benchmark.latency_table_seconds
    splits = read_data(model, data, config, columns, recipe.seed)
    key = digest(
        *(tool_version(), address.name, address.port, address.python),
        *(recipe.max_length, recipe.competing, seconds),
        *(checkpoint_files(local_checkpoint(model)), splits.fingerprint),
    )
    kept = user_cache_dir() / "devices" / f"{key}.json"
    if not remeasure and _reads(kept):
        return kept
    kit = make_kit(
        model,
        scratch / "kit",
        data=data,
        columns=columns,
        max_length=recipe.max_length,
        runtimes=recipe.competing,
        seed=recipe.seed,
        progress=progress,
    )
    with connected(address, progress) as remote, progress.track(_says(address), 1) as task:
        remote.put({"kit": kit.folder})
        remote.measure("profile", "kit", "--out", "device.json", "--seconds", f"{seconds:g}")
        write_text(kept, remote.get("device.json").decode("utf-8", errors="replace"))
        task.advance()
    DeviceProfile.read(kept)  # which says what is wrong with it
    return kept


def _measured(
    address: Address,
    report: Report,
    out: Path,
    model: str,
    data: Data,
    *,
    columns: NamedColumns,
    seed: int,
    scratch: Path,
    progress: Progress,
) -> Report:
    """Return a run's report with what its artifacts do on a device, on the reported split."""
    examples = read_data(model, data, _config(model), columns, seed).report
    texts = _as_csv(examples)
    if texts is None:
        progress.say("Texts with such labels are not read on a device: nothing was measured there.")
        return report
    artifacts = published_artifacts(out)
    names = [f"artifacts/{place}" for place in range(len(artifacts))]
    measured = scratch / "measured.json"
    with connected(address, progress) as remote, progress.track(_says(address), 1) as task:
        remote.put({**dict(zip(names, artifacts, strict=True)), "data.csv": texts})
        remote.measure("run", *names, "--data", "data.csv", "--out", "measured.json")
        measured.write_bytes(remote.get("measured.json"))
        task.advance()
    return merge_measured(out, [measured])


def _says(address: Address) -> str:
    return f"measuring on {address.name}"


def _config(model: str) -> Any:
    from compress.encoder.checkpoint import read_config

    return read_config(model)


def _reads(path: Path) -> bool:
    try:
        DeviceProfile.read(path)
    except ProfileError:
        return False
    _log.info("the device's profile is in %s (--remeasure makes it anew)", path)
    return True


def _as_csv(examples: Examples) -> bytes | None:
    """Return examples as `benchmarks.profiling.texts` reads them; None where it does not."""
    if not isinstance(examples.targets, ClassLabels | Scores):
        return None
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["text", "text_pair", "label"])
    pairs = examples.pairs or ("",) * len(examples)
    names = examples.label_names
    for text, pair, label in zip(examples.texts, pairs, examples.labels, strict=True):
        named = isinstance(examples.targets, ClassLabels)
        rows.writerow([text, pair, names[int(label)] if named else float(label)])
    return written.getvalue().encode("utf-8", errors="replace")
