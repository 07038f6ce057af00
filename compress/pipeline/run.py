"""A whole run: from a checkpoint and data to a recommended artifact and the table for it."""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.chance import chance_notes
from compress.config.recipe import Recipe, render_recipe
from compress.data import Data, Splits, describe, load_unlabelled
from compress.data.columns import NamedColumns
from compress.data.splitting import fingerprint
from compress.errors import ProfileError, UsageError
from compress.evaluation.screening import competing_runtimes
from compress.pipeline.device import Device, for_device
from compress.pipeline.finalize import conclude, export_members
from compress.pipeline.inputs import Family, Job
from compress.pipeline.prepare import (
    Start,
    latency_table,
    prepare,
    read_data,
    read_unlabelled,
    scratch_of,
)
from compress.pipeline.room import estimate_room, outputs_bytes, sizes_of
from compress.pipeline.students import check_students, open_students
from compress.search.checkpoints import import_key, machine
from compress.search.family import attached, run_stages
from compress.search.members import Member, Staged, fallback_member
from compress.system.fingerprint import checkpoint_files, digest
from compress.system.hub import local_checkpoint
from compress.system.logs import logging_to
from compress.system.progress import Progress, SilentProgress
from compress.system.room import Room, check_room
from compress.system.workspace import Identity, Owner, Workspace

if TYPE_CHECKING:
    from benchmarks.report import Report
    from compress.stages.base import Context, Encoder

__all__ = ["run"]

_log = logging.getLogger("edgepress")


def run(
    model: str,
    data: "Data | None",
    out: Path,
    recipe: Recipe,
    *,
    progress: Progress,
    columns: NamedColumns | None = None,
    unlabelled: "Data | None" = None,
    students: Sequence[str] = (),
    overwrite: bool = False,
    remeasure: bool = False,
    device_profile: Path | None = None,
    command: str | None = None,
) -> "Report | None":
    """Compress `model` inside the recipe's accuracy budget.

    Every finished stage is kept in `out`; the same call resumes after the last one. Of several
    processes (`accelerate launch`) all train, and the first one does the rest; the others get None.

    Args:
        model: Checkpoint folder or hub id.
        data: Labelled text, see `compress.data.load_splits`; None where there is none, and
            `unlabelled` is all the text: the budget is agreement with the model then.
        out: Folder for everything the run writes.
        recipe: What to do.
        progress: Where to report progress.
        columns: Names of columns that convention does not find.
        unlabelled: More text of the task's kind, see `compress.data.load_unlabelled`.
        students: Checkpoints that members may be cut from instead, see `open_students`.
        overwrite: Take over `out` where it was made from another model, other data or for another
            task.
        remeasure: Measure anew what sizes cost on this machine, whatever is kept of earlier runs.
        device_profile: What `python -m benchmarks profile` wrote on the device that models are
            made for; None is this machine.
        command: What the user typed, for the report.

    Raises:
        EdgepressError: Bad model, data, recipe, profile or output folder; nothing was half-written.
    """
    started = time.monotonic()
    # Everything that can be wrong with the input is found before the output folder is touched.
    workspace = Workspace(out)
    device = None
    if device_profile is not None:
        recipe, device = for_device(recipe, device_profile)
    from compress.encoder.checkpoint import read_config

    config = read_config(model)
    columns = columns or NamedColumns()
    given = unlabelled if data is None else data
    if given is None:
        raise UsageError("there is neither labelled nor unlabelled text")
    read = read_unlabelled if data is None else read_data
    splits, more = read(model, given, config, columns, recipe.seed), None
    if data is not None and unlabelled is not None:
        more = load_unlabelled(unlabelled, splits, columns=columns)
    competing_runtimes(recipe.competing)
    checkpoint = local_checkpoint(model)
    # torch: not before the input is known to be good
    from compress.system.distributed import is_main, on_main

    if not is_main():
        progress = SilentProgress()
    name = describe(given)
    job = Job(
        *(model, name, checkpoint, splits, more, recipe, workspace, progress, command, remeasure),
        device=device,
        students=tuple(students),
    )
    check_students(job)
    # The first process's deadline: clocks of several machines have nothing in common.
    start, deadline = prepare(job, config), on_main(lambda: _deadline(recipe, started))
    job = replace(job, device=_device_of(device, start))
    on_main(lambda: workspace.create(_owner(job), overwrite=overwrite))
    if not is_main():
        _help(job, start, deadline)
        return None
    with workspace, logging_to(workspace.log):
        _log.info("run: %s", command or f"{model} on {name}")
        (out / "recipe.yaml").write_text(
            render_recipe(recipe, command or f"edgepress {model} {_option(splits)} {name}"),
            encoding="utf-8",
        )
        less = ", or ask for fewer members (speedups) and stock exports (benchmark.baselines)"
        check_room(_room(job, start), out, progress.say, less=less)
        if start.context is not None:  # whoever gave the wrong labels need not wait for the end
            selection = start.context.material.selection
            for note in chance_notes(selection.teacher_logits, selection.examples):
                progress.say(note)
        if not splits.report.labelled:
            agreed = 100 - recipe.most_lost
            progress.say(f"No labels: the budget is {agreed:g}% agreement with the original model.")
        for note in splits.notes:
            _log.info("data: %s", note)
        if more is not None and unlabelled is not None:
            _log.info("data: %d unlabelled texts from %s", len(more), describe(unlabelled))
        for note in start.notes:
            _log.info("import: %s", note)
        report = conclude(job, _family(job, start, deadline), start.remarks)
        _log.info("done")
    return report


def _option(splits: Splits) -> str:
    return "--data" if splits.report.labelled else "--unlabelled"


def _device_of(device: Device | None, start: Start) -> Device | None:
    """Return the device with its latency table for the model."""
    if device is None:
        return None
    if start.encoder is None:
        raise ProfileError(
            "models of this family are exported as they are: no device profile can decide on them",
            hint="leave out --device-profile",
        )
    return device.of_model(start.encoder.module.config)


def _room(job: Job, start: Start) -> Room:
    sizes = sizes_of(job.checkpoint, start.encoder)
    outputs = 0.0 if start.context is None else outputs_bytes(start.context)
    return estimate_room(sizes, job.recipe, outputs=outputs)


def _owner(job: Job) -> Owner:
    """Return what the output folder is made from."""
    place = Path(job.model).expanduser()
    data = Path(job.data).expanduser()
    model = str(place.resolve()) if place.exists() else job.model
    if place.is_relative_to(job.workspace.models):  # given in memory: its folder is its content
        model = f"{job.name} in memory"
    return Owner(
        Identity(model, digest(checkpoint_files(job.checkpoint))),
        Identity(str(data.resolve()) if data.exists() else job.data, job.splits.fingerprint),
        job.splits.train.task,
    )


def _deadline(recipe: Recipe, started: float) -> float | None:
    """Return the moment when the run is to end."""
    if recipe.time_budget_minutes is None:
        return None
    return started + 60 * recipe.time_budget_minutes


def _help(job: Job, start: Start, deadline: float | None) -> None:
    """Take part in training, as a process that is not the first one."""
    if start.encoder is not None and start.context is not None:
        scratch_of(job).mkdir(parents=True, exist_ok=True)
        _staged(job, start.encoder, start.context, deadline)


def _family(job: Job, start: Start, deadline: float | None) -> Family:
    """Return the exported family, and what it is to be compared with."""
    encoder, context = start.encoder, start.context
    staged: list[Staged] = []
    if encoder is not None and context is not None:
        staged, context = _staged(job, encoder, context, deadline)
    for remark in start.remarks:
        _log.warning("%s", remark)
    # To quantize, write, check and measure the unpruned one takes longer than the one in question.
    spare = staged[:1] if job.recipe.effort == "fast" and len(staged) > 1 else []
    staged = attached(staged[len(spare) :], job.recipe)
    with job.stock_exports() as rivals:
        started = time.monotonic()
        members = [_fallback(job)] if context is None else export_members(job, staged)
        export_s = (time.monotonic() - started) / len(members)
        subjects = rivals.subjects(job.recipe.threads, job.progress)
        return Family(members, subjects, staged, context, spare, deadline, export_s)


def _staged(
    job: Job, encoder: "Encoder", context: "Context", deadline: float | None
) -> "tuple[list[Staged], Context]":
    more = None if job.unlabelled is None else fingerprint((job.unlabelled,))
    key = import_key(
        model=job.model_key,
        data=job.splits.fingerprint,
        unlabelled=more,
        max_length=context.max_length,
        machine=machine(),
        device=None if job.device is None else job.device.profile.digest,
    )
    with ExitStack() as closing:
        closing.enter_context(context.material)
        context = replace(context, latency=latency_table(job, encoder, context))
        students = open_students(job, context, key)
        for student in students:
            closing.enter_context(student.context.material)
        staged = run_stages(
            encoder, context, job.workspace, key, deadline=deadline, students=students
        )
        return staged, context


def _fallback(job: Job) -> Member:
    recipe = job.recipe
    settings = (recipe.max_length, recipe.quantize.calibration_texts)
    key = digest(job.model_key, job.splits.fingerprint, "fallback", settings)
    with job.progress.track("exporting", 1) as task:
        member = fallback_member(job.checkpoint, job.splits.train, job.recipe, job.workspace, key)
        task.advance()
    return member
