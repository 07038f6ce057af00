"""Says what to do after a run: commands that work as they stand, where the run was started."""

import math
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Report, Step
from compress.pipeline.checkpoints import IMPORT
from compress.pipeline.inputs import Job
from compress.system.program import program, short
from export.examples import example_code, example_command
from runtimes.registry import get_task

__all__ = ["next_steps"]


def next_steps(report: Report, job: Job) -> tuple[Step, ...]:
    """Return what to do with the artifact; where nothing met the budget, how to come by one.

    Args:
        report: Of the run, whose artifact is published.
        job: What the run was given.
    """
    if report.recommended is None:
        return tuple(_instead(report, job))
    return tuple(_with(report, job, job.workspace.artifact))


def _with(report: Report, job: Job, artifact: Path) -> Iterator[Step]:
    start = program()
    yield Step("Ask it.", example_command(artifact, start))
    code = f"from edgepress import load; print(load({str(artifact)!r})({example_code(artifact)}))"
    yield Step("Use it in Python.", _python(code))
    if job.device is not None:
        yield Step(
            "Copy the folder to the device that it was made for, and measure it there.",
            f"python -m benchmarks run {artifact.name} --data data.csv --out device.json",
        )
        yield Step(
            "Add what was measured there to this report.",
            shlex.join([*start, "report", "merge", str(job.workspace.out), "device.json"]),
        )
    elif _is_path(job.data):
        tune = shlex.join([*start, "bench", str(artifact), "--data", job.data, "--tune"])
        yield Step(
            "Copy the folder to the device that will answer, and find its fastest settings there.",
            tune,
        )
    yield from _taken_on(report, job)
    yield Step(
        "See what is in it, and whether it is intact.",
        shlex.join([*start, "inspect", str(artifact)]),
    )
    yield Step(
        "See what the run keeps to go on from, which can be removed.",
        shlex.join([*start, "clean", str(job.workspace.out)]),
    )


def _taken_on(report: Report, job: Job) -> Iterator[Step]:
    """Yield what opens the recommended member's checkpoint in PyTorch, where there is one."""
    place = job.workspace.checkpoint
    for entry in report.family:
        found = entry.get("checkpoint")
        if found is not None and job.workspace.out / found["path"] == place:
            opener = get_task(job.splits.train.task).SPEC.auto_class
            first = f"{IMPORT}; " if found["reason"] else ""
            code = (
                f"{first}from transformers import {opener}; "
                f"print({opener}.from_pretrained({str(place)!r}))"
            )
            yield Step(
                f"Take the pruned model on in PyTorch ({found['opens_as']}; its outputs are within "
                f"{found['max_abs_delta']:.0e} of those of the model that was exported).",
                _python(code),
            )


def _instead(report: Report, job: Job) -> Iterator[Step]:
    if job.command is None:
        return
    names = {entry["name"] for entry in report.family}
    rows = [row for row in report.rows if row.id.removesuffix(f"-{row.runtime}") in names]
    if report.budget.get("target_latency_ms") is not None:
        times = [row.end_to_end_ms.p50 for row in rows if row.end_to_end_ms is not None]
        if times:
            yield Step(
                f"Allow more: the fastest model answered in {min(times):.2f} ms.",
                f"{job.command} --target-latency {_above(min(times), 2):g}",
            )
    elif drops := [row.drop.value for row in rows if row.drop is not None]:
        least = min(drops)
        more = _above(max(least, 0.0), 0) + 1
        if job.splits.report.labelled:
            what, option = (
                f"the most accurate model lost {least:.1f} points",
                f"--max-drop {more:g}",
            )
        else:
            what = f"the nearest model agrees with the original on {100 - least:.1f}%"
            option = f"--min-agreement {100 - more:g}"
        yield Step(f"Allow more: {what}.", f"{job.command} {option}")
    if report.budget.get("effort") != "best":
        yield Step("Let it train longer.", f"{job.command} --effort best")


def _above(value: float, decimals: int) -> float:
    """Return the next value of so few decimals that is not below."""
    return math.ceil(value * 10**decimals) / 10**decimals


def _python(code: str) -> str:
    """Return the command for a line of Python: quoted so that it can still be read, if possible."""
    quoted = shlex.quote(code) if re.search(r'["$`\\!]', code) else f'"{code}"'
    return f"{shlex.quote(short(sys.executable))} -c {quoted}"


def _is_path(data: str) -> bool:
    """Return whether data can be named on the command line: not what was given in memory."""
    return Path(data).expanduser().exists() or "/" in data
