"""The end of a run: choose, look for better quantization, measure for the report, publish."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.latency import LatencySettings
from benchmarks.report import Report, Row
from benchmarks.subjects import Subject
from compress.evaluation.benchmark import (
    REFERENCE,
    reference_subject,
    run_benchmark,
)
from compress.evaluation.screening import contenders
from compress.pipeline.inputs import Family, Job
from compress.pipeline.publish import publish
from compress.search.members import Member, Staged, export_member, subjects_of
from compress.search.selection import Choice, choose, probable_drop

__all__ = ["Result", "conclude"]

_log = logging.getLogger("edgepress")

# Enough to rank members whose speed differs by some percent; the final table takes more.
_SELECTION = LatencySettings(
    rounds=6, sentences=20, seconds=60.0, min_rounds=3, throughput_inputs=0
)
_SENTENCES = 25
_COLD_STARTS = 1


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        report: The final table.
        artifact: The recommended artifact; None where no member met the budget.
    """

    report: Report
    artifact: Path | None


def conclude(job: Job, family: Family, remarks: tuple[str, ...]) -> Result:
    """Choose on the selection split, measure on the reported one, publish."""
    reference = reference_subject(job.checkpoint, job.name, job.recipe.threads)
    members = list(family.members)
    runtimes, decisions = contenders(
        list(dict.fromkeys((members[0].artifact, members[-1].artifact))),
        _runtimes_present(),
        job.splits.selection,
        threads=job.recipe.threads,
        seed=job.recipe.seed,
        progress=job.progress,
    )
    subjects = subjects_of(members, runtimes, job.recipe.threads)
    choice = _choose(job, reference, subjects)
    chosen = _subject(subjects, choice.row_id)
    others, reasons = _alternatives(job, family, chosen)
    decisions += (*choice.reasons, *reasons)
    if others:
        more = _tried(job, family, others, runtimes)
        again = _choose(job, reference, [*([chosen] if chosen else []), *more])
        decisions += again.reasons
        if (better := _subject(more, again.row_id)) is not None:
            # What was tried may hold no files for runtimes that do not compete; this is published.
            winner = _exported(job, family, others[more.index(better) // len(runtimes)])
            members.append(winner)
            subjects += subjects_of([winner], runtimes, job.recipe.threads)
            chosen = _subject(subjects, better.id)
    for reason in decisions:
        _log.info("decision: %s", reason)
    report = _final_report(job, family, reference, subjects, members, chosen)
    report = replace(
        report,
        recommended=None if chosen is None else chosen.id,
        data={
            **report.data,
            "source": job.data,
            "fingerprint": job.splits.fingerprint,
            "seed": job.recipe.seed,
            "splits": {
                "train": len(job.splits.train),
                "selection": len(job.splits.selection),
                "report": len(job.splits.report),
            },
            "notes": list(job.splits.notes),
        },
        budget={
            "max_drop": job.recipe.max_drop,
            "target_latency_ms": job.recipe.target_latency_ms,
            "effort": job.recipe.effort,
        },
        decisions=decisions,
        family=tuple(
            {
                "name": member.name,
                "description": member.description,
                "lineage": [dict(step) for step in member.lineage],
            }
            for member in members
        ),
        notes=(*report.notes, *remarks),
        command=job.command,
    )
    member = None if chosen is None else _member_of(chosen, members)
    artifact = publish(report, members, member, job.workspace, job.name, job.data)
    return Result(report, artifact)


def _alternatives(
    job: Job, family: Family, chosen: Subject | None
) -> tuple[list[Staged], tuple[str, ...]]:
    """Other ways to quantize, worth measuring beside the chosen row; and what was found.

    The next faster member with some layers in float, where INT8 costs it the budget and that brings
    it back; the chosen member in other schemes otherwise. A member that is outside for another
    reason would come inside by chance, some plan or other being lucky with the selection split.
    """
    context = family.context
    if context is None or not job.recipe.quantize.alternatives:
        return [], ()
    from compress.distillation.matching import rounding_matters
    from compress.search.drop_estimate import estimate_drop
    from compress.search.quantization_search import mixed_precision, variants

    # Members stand in order of speed: the one after the chosen one is the next faster.
    place, reasons = -1, tuple[str, ...]()
    if chosen is not None:
        place = next(i for i, m in enumerate(family.members) if m.artifact == chosen.path)
    budget = job.recipe.budget
    if budget is not None and place + 1 < len(family.staged):
        following = family.staged[place + 1]
        encoder, selection = following.encoder, context.material.selection
        if (
            encoder.plan is not None
            and selection.examples.answers is None  # of answers, see `drop_of`
            and probable_drop(estimate_drop(encoder.module, selection, None), job.recipe.confidence)
            <= budget
            and rounding_matters(
                encoder.module,
                encoder.plan,
                selection,
                job.recipe.distill.rounding_share,
            )
        ):
            mixed = mixed_precision(following, context, job.workspace)
            reasons = (mixed.reason,)
            if mixed.staged is not None:
                return [mixed.staged], reasons
    return (variants(family.staged[place], context) if place >= 0 else []), reasons


def _tried(job: Job, family: Family, others: list[Staged], runtimes: list[str]) -> list[Subject]:
    """Members exported for the runtimes that compete; for each of them a subject a runtime."""
    only = runtimes[0] if len(runtimes) == 1 else None
    with job.progress.track("exporting other schemes", len(others)) as task:
        members = []
        for staged in others:
            members.append(_exported(job, family, staged, only=only))
            task.advance()
    return subjects_of(members, runtimes, job.recipe.threads)


def _exported(job: Job, family: Family, staged: Staged, *, only: str | None = None) -> Member:
    assert family.context is not None  # others are made of its members alone
    return export_member(staged, family.context, job.workspace, only=only)


def _choose(job: Job, reference: Subject, subjects: list[Subject]) -> Choice:
    report = run_benchmark(
        [reference, *subjects],
        job.splits.selection,
        _SELECTION,
        seed=job.recipe.seed,
        progress=job.progress,
        title="choosing",
    )
    rows: list[Row] = [row for row in report.rows if row.id != REFERENCE]
    return choose(
        rows,
        max_drop=job.recipe.max_drop,
        confidence=job.recipe.confidence,
        target_latency_ms=job.recipe.target_latency_ms,
        names={row.id: f"{row.model}, {row.runtime} {row.precision}" for row in rows},
    )


def _final_report(
    job: Job,
    family: Family,
    reference: Subject,
    subjects: list[Subject],
    members: list[Member],
    chosen: Subject | None,
) -> Report:
    """The table: the original, its stock exports, and ours.

    Of the family, every member is shown on the runtime of the recommended row, and the
    recommended one on every runtime, if the recipe has the time for it.
    """
    runtime = subjects[0].runtime if chosen is None else chosen.runtime
    shown = [subject for subject in subjects if subject.runtime == runtime]
    if chosen is not None and job.recipe.every_runtime:
        member = _member_of(chosen, members)
        elsewhere = [name for name in _runtimes_present() if name != runtime]
        shown += subjects_of([member], elsewhere, job.recipe.threads)
        if member.checkpoint is not None:
            shown.append(
                replace(
                    chosen,
                    id=f"{member.name}-pytorch",
                    kind="checkpoint",
                    path=member.checkpoint,
                    runtime="pytorch",
                    precision="fp32",
                )
            )
    return run_benchmark(
        [reference, *family.rivals, *shown],
        job.splits.report,
        LatencySettings(
            rounds=job.recipe.benchmark_rounds,
            sentences=_SENTENCES,
            seconds=240.0,
            throughput_inputs=512 if job.recipe.throughput else 0,
            cold_starts=_COLD_STARTS,
        ),
        cold=[REFERENCE, *([] if chosen is None else [chosen.id])],
        seed=job.recipe.seed,
        progress=job.progress,
        title="measuring",
    )


def _subject(subjects: list[Subject], name: str | None) -> Subject | None:
    return next((subject for subject in subjects if subject.id == name), None)


def _member_of(subject: Subject, members: list[Member]) -> Member:
    return next(member for member in members if member.artifact == subject.path)


def _runtimes_present() -> list[str]:
    """Runtimes of artifacts that this machine has, the usual first choice first."""
    from runtimes.registry import devices

    found = [device.runtime for device in devices() if device.available and device.device == "cpu"]
    return [name for name in ("onnxruntime", "openvino") if name in found]
