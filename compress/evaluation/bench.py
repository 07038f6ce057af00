"""Measures any mix of models on the same data, for `edgepress bench`."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.accuracy import class_order
from benchmarks.client import SubjectError
from benchmarks.differences import MOST_TEXTS
from benchmarks.latency import LatencySettings
from benchmarks.render.files import write_report
from benchmarks.report import Report, Step
from benchmarks.subjects import Subject
from compress.data import Data, Splits, describe, load_splits, split_unlabelled
from compress.data.columns import NamedColumns
from compress.data.vocabulary import vocabulary_of
from compress.encoder.checkpoint import read_config
from compress.errors import DeviceUnavailableError, ModelError, NoLabelsError, UsageError
from compress.evaluation.benchmark import run_benchmark
from compress.evaluation.machine_peaks import peaks_by_threads
from compress.evaluation.sizes import sizes_by_part
from compress.system.hub import local_checkpoint
from compress.system.program import program
from compress.system.progress import Progress
from runtimes.artifact import MANIFEST_NAME, Manifest, read_manifest
from runtimes.cores import usable_cores
from runtimes.hf_config import HfConfig, read_hf_config
from runtimes.hub import artifact_folder, hub_file, is_hub_id
from runtimes.loading import load
from runtimes.registry import artifact_runtimes, get_runtime, get_task
from runtimes.tuning import Tuning, tune

__all__ = ["bench_models", "tune_artifact"]

_BATCHES = (8, 32, 128)
_COLD_STARTS = 3
_LENGTHS = (8, 16, 32, 64, 128, 256, 512)


def bench_models(
    models: Sequence[str | Path],
    data: Data,
    *,
    columns: NamedColumns,
    out: Path | None,
    rounds: int,
    seed: int | None,
    threads: int | None,
    threads_curve: bool = False,
    devices: Sequence[str] = ("cpu",),
    precisions: Sequence[str] = ("fp32",),
    texts: int = MOST_TEXTS,
    progress: Progress,
    command: str | None,
) -> Report:
    """Measure models against the first one.

    Args:
        models: Hugging Face checkpoints, artifacts, and folders of other exporters; of checkpoints
            and artifacts also the hub's `owner/name`.
        data: As for a run; the reported split is measured on.
        columns: Names of columns that convention does not find.
        out: Where the report goes, as JSON, HTML, Markdown and CSV, or None.
        rounds: Interleaved rounds.
        seed: Seed of cutting the data, of sampling and of intervals; None is that of the run which
            made the first artifact among the models, so that what is measured took no part in
            choosing it, or 0.
        threads: CPU threads; None for all cores.
        threads_curve: Whether to measure each row with fewer threads as well: 1, 2, 4 ...
        devices: Devices to run on, each model wherever a runtime of its knows the device.
        precisions: What PyTorch is to compute checkpoints in; the first is the reference's.
        texts: Texts in the report on which the first model and the second differ, at most.
        progress: Where to report progress.
        command: What the user typed.

    Raises:
        UsageError: `out` cannot be written to, or holds something else; or no runtime of the
            models knows a device.
        DeviceUnavailableError: The device of the reference is not there.
        ModelError: A folder is none of the kinds, the hub does not give a model, or its labels are
            not the data's.
        ArtifactError: An artifact is damaged, or the hub does not give it.
        DataError: The data do not fit the first model.
    """
    # By name, so that one given twice is measured once.
    folders = dict(map(_named_folder, models))
    first, *_ = folders.values()
    seed = _seed_of(folders.values()) if seed is None else seed
    subjects = [s for name, folder in folders.items() for s in _subjects(name, folder, threads)]
    subjects = [s for subject in subjects for s in _in_precisions(subject, precisions)]
    subjects = _on_devices(subjects, devices)
    if threads_curve:
        subjects += [few for subject in subjects for few in _with_fewer_threads(subject)]
    _check_reference(subjects[0])
    splits = _splits(first, data, columns, seed)
    for name, folder in folders.items():
        _check_labels(name, folder, splits)
    _check_out(out)
    with progress.track("measuring the machine", 1) as task:
        peaks = peaks_by_threads(subject.threads for subject in subjects)
        task.advance()
    report = run_benchmark(
        subjects,
        splits.report,
        LatencySettings(
            rounds=rounds,
            throughput_batches=_BATCHES,
            throughput_sessions=True,
            cold_starts=_COLD_STARTS,
            lengths=_LENGTHS,
        ),
        reference=subjects[0].id,
        seed=seed,
        progress=progress,
        title="measuring",
        peaks=peaks,
        texts=texts,
    )
    report = replace(
        report,
        sizes=sizes_by_part(subjects),
        data={
            **report.data,
            "source": describe(data),
            "fingerprint": splits.fingerprint,
            "notes": list(splits.notes),
        },
        command=command,
    )
    if out is not None:
        if command is not None:
            report = replace(report, next_steps=tuple(_next_steps(command, folders, data, out)))
        write_report(report, out)
    return report


def _next_steps(command: str, folders: Mapping[str, Path], data: Data, out: Path) -> Iterator[Step]:
    """Yield what to do with a report: commands that work as they stand, where it was started."""
    start = program()
    named = str(data) if isinstance(data, str | os.PathLike) else None
    artifact = next((n for n, folder in folders.items() if (folder / MANIFEST_NAME).exists()), None)
    checkpoint = next(
        (n for n, folder in folders.items() if any(folder.glob("*.safetensors"))), None
    )
    if artifact is not None and named is not None:
        yield Step(
            f"Find the settings with which {artifact} is fastest here, and keep them in it.",
            shlex.join([*start, "bench", artifact, "--data", named, "--tune"]),
        )
    elif checkpoint is not None and named is not None:
        yield Step(
            f"Make a faster model of {checkpoint}, within one point of its accuracy.",
            shlex.join([*start, checkpoint, "--data", named, "--max-drop", "1"]),
        )
    yield Step(
        "Say what a million inputs cost at your price of a core for an hour.",
        shlex.join([*start, "report", str(out), "--price", "0.05"]),
    )
    later = f"{out}-later"
    again = f"{command} --out {shlex.quote(later)}"
    compared = shlex.join([*start, "bench", "--compare", str(out), later])
    yield Step("Measure again another day, and see what became worse.", f"{again} && {compared}")


def tune_artifact(
    folder: Path, data: Data, *, columns: NamedColumns, seed: int | None, progress: Progress
) -> Tuning:
    """Find the settings that are fastest on this device for texts like those of the data, and keep
    them beside the artifact.

    Args:
        folder: The artifact.
        data: As for a run, or without labels; the reported split is what it is asked.
        columns: Names of columns that convention does not find.
        seed: Of splitting the data; None is that of the artifact's run.
        progress: Where to report progress.

    Raises:
        ArtifactError: The folder is no artifact.
        DataError: The data cannot be read or do not fit it.
    """
    read_manifest(folder)  # refuses what is no artifact
    asked = folder, data, columns, _seed_of([folder]) if seed is None else seed
    try:
        splits = _splits(*asked)
    except NoLabelsError:
        splits = _splits(*asked, read=split_unlabelled)
    with progress.track("measuring settings", 100) as task:
        done = 0

        def advance(share: float) -> None:
            nonlocal done
            task.advance(int(100 * share) - done)
            done = int(100 * share)

        return tune(folder, splits.report.inputs(), open_with=load, progress=advance)


def _named_folder(model: str | Path) -> tuple[str, Path]:
    """Return what a model is called, and its folder; one of the hub is downloaded.

    Raises:
        ModelError: The hub does not give it, or it is no checkpoint.
        ArtifactError: Likewise, of an artifact.
    """
    if not is_hub_id(model):
        return str(Path(model)), Path(model)
    name = str(model)
    if hub_file(name, MANIFEST_NAME) is not None:
        return name, artifact_folder(name)
    read_config(name)  # which says what is wrong with a checkpoint
    return name, local_checkpoint(name)


def _seed_of(models: Iterable[Path]) -> int:
    """Return the seed of the run that made the first artifact in `models`, or 0."""
    for model in models:
        if (model / MANIFEST_NAME).is_file():
            return int(read_manifest(model).metrics.get("seed") or 0)
    return 0


def _check_out(out: Path | None) -> None:
    """Refuse before minutes of measuring, not after."""
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file", hint="name a folder")
    if (out / ".edgepress").is_dir():
        raise UsageError(
            f"--out {out} is a run's output, whose report would be lost",
            hint="name another folder",
        )
    if out.is_dir() and any(out.iterdir()) and not (out / "report.json").is_file():
        raise UsageError(
            f"--out {out} is not empty and holds no report.json; nothing was touched",
            hint="name a new folder, or one of an earlier benchmark",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--out {out} cannot be written to: {error.strerror or error}",
            hint="name a folder that can be",
        ) from error


def _subjects(name: str, path: Path, threads: int | None) -> list[Subject]:
    """Return a subject for each way that the folder can be run."""
    shown = name
    if Path(name) == path:
        shown = f"{path.parent.name}/{path.name}" if path.name == "artifact" else path.name
    shared: dict[str, Any] = {"model": shown, "path": path, "threads": threads}
    if (path / MANIFEST_NAME).is_file():
        # the variants of a model are run together
        models = dict.fromkeys((m.runtime, m.precision) for m in read_manifest(path).models)
        return [
            Subject(
                id=f"{name}:{runtime}:{precision}",
                kind="artifact",
                runtime=runtime,
                precision=precision,
                **shared,
            )
            for runtime, precision in models
        ]
    found = [
        Subject(id=f"{name}:{runtime}", kind="export", runtime=runtime, **shared)
        for runtime in artifact_runtimes()
        if any((path / file).is_file() for file in get_runtime(runtime).MODEL_FILES)
    ]
    if any(path.glob("*.safetensors")):
        found.append(Subject(id=f"{name}:pytorch", kind="checkpoint", runtime="pytorch", **shared))
    if not found:
        what = "does not exist" if not path.exists() else "holds no model that can be measured"
        raise ModelError(
            f"{path} {what}",
            hint="name a Hugging Face checkpoint, an artifact, or a folder with model.onnx or "
            "openvino_model.xml, tokenizer.json and config.json; or a model of the hub, OWNER/NAME",
        )
    return found


def _in_precisions(subject: Subject, precisions: Sequence[str]) -> list[Subject]:
    """Return a checkpoint in each precision; anything else holds its own."""
    if subject.kind != "checkpoint":
        return [subject]
    return [
        replace(subject, id=f"{subject.id}:{precision}", precision=precision)
        for precision in dict.fromkeys(precisions)
    ]


def _on_devices(subjects: Sequence[Subject], devices: Sequence[str]) -> list[Subject]:
    """Return each subject on each device that its runtime knows, present or not.

    Raises:
        UsageError: None of the runtimes knows a device.
    """
    known = {
        runtime: [found.device for found in get_runtime(runtime).devices()]
        for runtime in dict.fromkeys(subject.runtime for subject in subjects)
    }
    for device in devices:
        if not any(device in names for names in known.values()):
            every = sorted({name for names in known.values() for name in names})
            raise UsageError(
                f"no runtime of these models knows the device {device!r}; they know: "
                f"{', '.join(every)}",
                hint="see what is there: edgepress doctor",
            )
    placed = []
    for device in dict.fromkeys(devices):
        for subject in (each for each in subjects if device in known[each.runtime]):
            placed.append(replace(subject, id=f"{subject.id}@{device}", device=device))
            if subject.kind == "checkpoint" and device == "cuda":  # also as captured graphs
                name, model = f"{placed[-1].id}:graphs", f"{subject.model}, CUDA graphs"
                placed.append(replace(placed[-1], id=name, model=model, options={"graphs": True}))
    return placed


def _check_reference(subject: Subject) -> None:
    """Refuse a device that is not there before anything is measured.

    Raises:
        DeviceUnavailableError: The reference could not be opened on it.
    """
    for found in get_runtime(subject.runtime).devices():
        if found.device == subject.device and not found.available:
            raise DeviceUnavailableError(
                f"{subject.model} cannot be measured on {subject.device}, as {found.detail}",
                hint=found.hint or "see what is there: edgepress doctor",
            )


def _check_labels(name: str, folder: Path, splits: Splits) -> None:
    """Refuse a model of other labels before anything is measured.

    Raises:
        ModelError: They are not those of the data.
    """
    known = _known(folder)
    if not known.labels or get_task(known.task).SPEC.labels is not None:
        return
    try:
        class_order(known.labels, splits.report.label_names)
    except SubjectError as error:
        raise ModelError(
            f"{name} cannot be measured on this data: {error}",
            hint="measure it on data of its own, or leave it out",
        ) from error


def _with_fewer_threads(subject: Subject) -> list[Subject]:
    """Return the subject with one thread, two, four ..., less than it has, on a CPU."""
    if subject.device != "cpu":
        return []
    most = subject.threads or usable_cores()
    return [
        replace(
            subject,
            id=f"{subject.id}:{count}",
            model=f"{subject.model}, {count} thread{'s' if count > 1 else ''}",
            threads=count,
        )
        for count in (1, 2, 4, 8, 16, 32)
        if count < most
    ]


def _known(path: Path) -> Manifest | HfConfig:
    """Return what an artifact, or any other folder, says of itself."""
    return read_manifest(path) if (path / MANIFEST_NAME).is_file() else read_hf_config(path)


def _splits(
    path: Path,
    data: Data,
    columns: NamedColumns,
    seed: int,
    read: Callable[..., Splits] = load_splits,
) -> Splits:
    """Return the data, read by what an artifact, or any other folder, says of itself."""
    known = _known(path)
    names = vocabulary_of(path) if get_task(known.task).SPEC.of_vocabulary else known.labels
    alone = len(known.labels) == 1  # which Transformers trains as regression, if nothing is stated
    return read(
        data,
        label_names=names or None,
        task=known.task,
        problem_type="regression" if alone else known.problem_type,
        columns=columns,
        seed=seed,
    )
