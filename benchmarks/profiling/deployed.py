"""Measures artifacts on a device as they open there, and adds that to the report of their run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from benchmarks.latency import LatencySettings
from benchmarks.profiling.texts import read_examples
from benchmarks.render.headline import machine_name
from benchmarks.report import Report, Row
from benchmarks.run import benchmark
from benchmarks.subjects import Subject
from runtimes.artifact import read_content, read_manifest
from runtimes.errors import ProfileError, UsageError
from runtimes.fingerprint import device_key
from runtimes.manifest import Manifest, digest_of
from runtimes.registry import get_runtime
from runtimes.tuning import install_hint, read_tuning

__all__ = ["NOT_TIMED", "TIMED", "measure_deployed", "merged"]

NOT_TIMED = "Latency was measured nowhere yet:"
"""Beginning of the remark on a report whose models were made for another device."""

TIMED: Mapping[str, Any] = {
    "end_to_end_ms": None,
    "model_ms": None,
    "speedup": None,
    "doubt": "",
    "load_ms": None,
    "cold_start_ms": None,
    "rss_bytes": None,
    "threads": None,
    "throughput_per_s": None,
    "throughput_batch": None,
    "throughput_sessions": None,
    "throughput_alone_per_s": None,
    "energy_mj": None,
    "by_length": (),
    "floor": None,
    "batch_label_changes": None,
    "batch_points_lost": None,
}
"""Figures of a row that are a machine's, and what they are where none measured them."""

_OF_TIMING = (
    *(field.name for field in fields(LatencySettings)),
    *("rounds_measured", "groups", "median_characters", "median_tokens", "disturbance", "left_out"),
)


def measure_deployed(
    artifacts: Sequence[Path],
    data: Path,
    *,
    columns: Mapping[str, str | None],
    rounds: int = 12,
    runtime: str | None = None,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Measure artifacts on this device, each as it opens here; the first is the reference.

    Args:
        artifacts: Folders.
        data: Labelled texts, see `benchmarks.profiling.texts`.
        columns: `text`, `pair` and `label`, for that.
        rounds: Interleaved rounds.
        runtime: Of the artifacts' files those for it; None: as tuned for this device, or the first
            that is installed.
        threads: CPU threads; None likewise.
        progress: As in `benchmarks.run.benchmark`.

    Raises:
        ArtifactError: A folder is no artifact.
        DataError: The data cannot be read, or do not fit the first artifact.
        UsageError: No runtime of an artifact is installed.
    """
    subjects, digests = list[Subject](), {}
    for folder in artifacts:
        manifest = read_manifest(folder)
        subject = _subject(folder, manifest, runtime, threads)
        if subject.id in digests:
            subject = replace(subject, id=f"{subject.id}-{len(subjects) + 1}")
        subjects.append(subject)
        digests[subject.id] = digest_of(read_content(folder))
    first = read_manifest(artifacts[0])
    report = benchmark(
        subjects,
        read_examples(data, first, **columns),
        reference=subjects[0].id,
        settings=LatencySettings(rounds=rounds, min_rounds=min(5, rounds), cold_starts=1),
        progress=progress,
    )
    method = {**report.method, "artifacts": digests, "device_key": device_key()}
    return replace(report, method=method, data={**report.data, "source": str(data)})


def merged(report: Report, measured: Report, artifacts: Mapping[str, str]) -> Report:
    """Return a run's report with the latency that was measured on the device it is for.

    Accuracy stays that of the run: it was measured on texts that took part in no decision.

    Args:
        report: Of a run with a device profile.
        measured: From `measure_deployed`, there.
        artifacts: Digests of the run's artifacts, to their names.

    Raises:
        ProfileError: The report has timings of its own, or what was measured is no artifact of it.
    """
    of_run = report.method.get("device")
    if not isinstance(of_run, Mapping):
        raise ProfileError(
            "the report has timings of the machine that made it: it was not made for a device",
            hint="show both beside each other: edgepress report OUT DEVICE.json",
        )
    there = measured.method.get("artifacts")
    digests = there if isinstance(there, Mapping) else {}
    names = {own.id for own in report.rows}
    # Where others of the same name were measured as well, a number tells them apart.
    found = {
        name: row
        for row in measured.rows
        if digests.get(row.id) in artifacts
        for name in (row.id, row.id.rpartition("-")[0])
        if name in names
    }
    if not found:
        raise ProfileError(
            "what was measured is no artifact of this report",
            hint="measure the report's own: python -m benchmarks run OUT/artifact --data DATA "
            "--out DEVICE.json",
        )
    rows = tuple(_with_timings(row, found.get(row.id), report, measured) for row in report.rows)
    kept = {name: of for name, of in measured.method.items() if name in _OF_TIMING}
    device = {
        **of_run,
        "measured": measured.created,
        "accuracy": {name: row.metric.value for name, row in found.items() if row.metric},
        "accuracy_measured_on": of_run.get("accuracy_measured_on") or report.environment,
    }
    return replace(
        report,
        environment=measured.environment,
        rows=rows,
        samples={
            **report.samples,
            **{
                name: measured.samples[row.id]
                for name, row in found.items()
                if row.id in measured.samples
            },
        },
        method={**report.method, **kept, "device": device},
        notes=(
            *(note for note in report.notes if not note.startswith((NOT_TIMED, _MEASURED))),
            *_notes(report, measured, found, of_run),
        ),
    )


_MEASURED = "Latency and memory were measured on"


def _notes(
    report: Report, measured: Report, found: Mapping[str, Row], of_run: Mapping[str, Any]
) -> list[str]:
    """Say which figures come from where."""
    machine = machine_name(measured.environment, next(iter(found.values())))
    day = (measured.created or "")[:10]
    said = (
        f"{_MEASURED} the device ({machine}, {day}), by python -m benchmarks run; accuracy, drop "
        "and sizes are those of the run, on the machine that made it."
    )
    expected = of_run.get("expected_ms") or {}
    for name, row in found.items():
        if row.end_to_end_ms is not None and name in expected:
            said += (
                f" {name}: {row.end_to_end_ms.p50:.2f} ms, where {expected[name]:.2f} were "
                "expected."
            )
        own = report.row(name).metric
        if row.metric is not None and own is not None:
            said += f" It is right on {row.metric.value:.1f}% of {row.metric.n} texts there."
        if row.id != measured.reference and (speedup := row.sure_speedup) is not None:
            said += (
                f" There it is {speedup.value:.2f} times ({speedup.low:.2f} to "
                f"{speedup.high:.2f}) as fast as {measured.reference}."
            )
    notes = [said]
    if measured.method.get("device_key") != of_run.get("device_key"):
        notes.append(
            f"{_MEASURED} a device that is not the one whose profile the models were made by, or "
            "whose libraries are of other versions."
        )
    return notes


def _with_timings(own: Row, theirs: Row | None, report: Report, measured: Report) -> Row:
    """Return a row with a device's figures, or without any."""
    if theirs is None:
        return own if own.end_to_end_ms is not None else replace(own, **TIMED)
    values = {name: getattr(theirs, name) for name in TIMED}
    if measured.reference != report.reference:  # its ratio is to something else
        values |= {"speedup": None, "doubt": ""}
    return replace(own, **values)


def _subject(folder: Path, manifest: Manifest, runtime: str | None, threads: int | None) -> Subject:
    """Return an artifact as it opens on this device."""
    tuned = read_tuning(folder) if runtime is None and threads is None else None
    names = list(dict.fromkeys(model.runtime for model in manifest.models))
    if runtime is not None and runtime not in names:
        raise UsageError(
            f"{folder} has no files for {runtime}", hint=f"there are: {', '.join(names)}"
        )
    wanted = runtime or (tuned.runtime if tuned else None)
    usable = [name for name in names if _is_there(name) and wanted in (None, name)]
    if not usable:
        raise UsageError(f"no runtime of {folder} is installed here", hint=install_hint(names))
    rows = manifest.metrics.get("rows")
    ids = [
        str(row.get("id"))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and row.get("runtime") == usable[0]
    ]
    name = next((each for each in ids if each.endswith(f"-{usable[0]}")), None)
    return Subject(
        id=name or f"{folder.resolve().name}-{usable[0]}",
        model=str(folder),
        kind="artifact",
        path=folder,
        runtime=usable[0],
        threads=tuned.threads if tuned else threads,
        options=dict(tuned.options) if tuned else {},
    )


def _is_there(runtime: str) -> bool:
    devices = get_runtime(runtime).devices()
    return any(device.device == "cpu" and device.available for device in devices)
