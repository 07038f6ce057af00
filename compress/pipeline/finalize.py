"""The end of a run: select, refine the quantization, report, publish."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.disturbance import Disturbance
from benchmarks.labels import Spans
from benchmarks.latency import LatencySettings
from benchmarks.metrics import CrossFitted
from benchmarks.render.columns import how_run
from benchmarks.report import Report, Row
from benchmarks.subjects import Subject
from compress.evaluation.benchmark import (
    REFERENCE,
    reference_subject,
    run_benchmark,
)
from compress.evaluation.screening import competing_runtimes, contenders
from compress.evaluation.sizes import sizes_by_part
from compress.pipeline.checkpoints import IMPORT, Published, publish_checkpoints
from compress.pipeline.device import ACCURACY_ALONE, Device, without_timings
from compress.pipeline.inputs import Family, Job
from compress.pipeline.next_steps import next_steps
from compress.pipeline.publish import publish, publish_report, published_artifacts
from compress.search.cross_fitting import cross_fitted
from compress.search.family import MEASURING_S, attached
from compress.search.members import (
    Candidate,
    Member,
    Staged,
    candidates_of,
    export_member,
    self_test_remarks,
)
from compress.search.selection import Choice, choose, fastest_inside, least_lost, probable_drop
from export.origin import read_origin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from export.quantization import QuantizationPlan

__all__ = ["conclude", "export_members"]

# Other ways to quantize a member that are tried as a rule.
_OTHERS = 2

_log = logging.getLogger("edgepress")


@dataclass(frozen=True)
class _Decision:
    """Recommendation so far, and its reasons.

    Attributes:
        chosen: None where no candidate met the budget.
        candidates: All members of the family, on each runtime that competes.
        runtimes: Those that compete.
        reasons: Sentences for the report.
        busy: What others did with the cores while candidates were compared; "" where nothing.
    """

    chosen: Candidate | None
    candidates: tuple[Candidate, ...]
    runtimes: tuple[str, ...]
    reasons: tuple[str, ...]
    busy: str = ""

    @property
    def members(self) -> tuple[Member, ...]:
        """Members of the candidates, the slowest first."""
        return tuple(dict.fromkeys(candidate.member for candidate in self.candidates))


def conclude(job: Job, family: Family, remarks: tuple[str, ...]) -> Report:
    """Select, refine, report, publish.

    Where a test split was given, it is reported on. Otherwise all held-out text selects, and is
    reported on with what the choice loses, cross-fitted.
    """
    reference = reference_subject(job.checkpoint, job.name, job.recipe.threads)
    decision = _select(job, family, reference)
    if decision.chosen is None and family.spare:
        spare = attached(family.spare, job.recipe)
        slower = export_members(job, spare)
        family = replace(
            family,
            members=[*slower, *family.members],
            staged=[*spare, *family.staged],
            spare=[],
        )
        decision = _select(job, family, reference)
    decision = _refine(job, family, reference, decision)
    for reason in decision.reasons:
        _log.info("decision: %s", reason)
    report = _report(job, family, reference, decision, remarks)
    member = None if decision.chosen is None else decision.chosen.member
    origin = read_origin(job.model, job.checkpoint)
    publish(report, decision.members, member, job.workspace, origin, job.data)
    if job.device is not None:
        for folder in published_artifacts(job.workspace.out):
            job.device.keep_setting(folder)
    report = _with_checkpoints(report, publish_checkpoints(job, decision.members, member))
    report = replace(report, next_steps=next_steps(report, job))
    publish_report(report, job.workspace)
    return report


def export_members(job: Job, staged: Sequence[Staged]) -> list[Member]:
    """Export members of a run's family."""
    members = []
    with job.progress.track("exporting", len(staged)) as task:
        for member in staged:
            members.append(export_member(member, job.workspace))
            task.advance()
    return members


def _select(job: Job, family: Family, reference: Subject) -> _Decision:
    """Choose among the members as the recipe quantizes them."""
    if job.device is not None:
        return _for_device(job, job.device, family, reference)
    runtimes, decisions = contenders(
        list(dict.fromkeys((family.members[0].artifact, family.members[-1].artifact))),
        competing_runtimes(job.recipe.competing),
        job.splits.selection,
        threads=job.recipe.threads,
        seed=job.recipe.seed,
        progress=job.progress,
    )
    candidates = candidates_of(family.members, runtimes)
    choice, busy = _choose(job, family, reference, candidates)
    return _Decision(
        _chosen(choice, candidates),
        tuple(candidates),
        tuple(runtimes),
        (*decisions, *choice.reasons),
        busy,
    )


def _for_device(job: Job, device: Device, family: Family, reference: Subject) -> _Decision:
    """Choose among the members by the latency that is expected on the device."""
    candidates = candidates_of(family.members, [device.runtime])
    choice, _ = _choose(job, family, reference, candidates)
    reasons = (*device.decisions(), *choice.reasons)
    return _Decision(_chosen(choice, candidates), tuple(candidates), (device.runtime,), reasons)


def _refine(job: Job, family: Family, reference: Subject, decision: _Decision) -> _Decision:
    """Choose again, among what was chosen and other ways to quantize."""
    needed_s = MEASURING_S + _OTHERS * family.export_s
    if family.deadline is not None and time.monotonic() + needed_s > family.deadline:
        said = "Other schemes were not tried: the time budget is used up."
        return replace(decision, reasons=(*decision.reasons, said))
    others, reasons = _alternatives(job, family, decision.chosen)
    decision = replace(decision, reasons=(*decision.reasons, *reasons))
    if not others:
        return decision
    runtimes = decision.runtimes
    # Files for runtimes that do not compete are left to the one that wins.
    only = runtimes[0] if len(runtimes) == 1 else None
    tried: dict[Candidate, Staged] = {}
    with job.progress.track("exporting other schemes", len(others)) as task:
        for staged in others:
            member = export_member(staged, job.workspace, only=only)
            tried |= dict.fromkeys(candidates_of([member], runtimes), staged)
            task.advance()
    before = [] if decision.chosen is None else [decision.chosen]
    choice, busy = _choose(job, family, reference, [*before, *tried])
    reasons = (*decision.reasons, *choice.reasons)
    decision = replace(decision, reasons=reasons, busy=decision.busy or busy)
    better = _chosen(choice, tried)
    if better is None:
        return decision
    winner = export_member(tried[better], job.workspace)
    return replace(
        decision,
        chosen=Candidate(winner, better.runtime),
        candidates=(*decision.candidates, *candidates_of([winner], runtimes)),
    )


def _report(
    job: Job,
    family: Family,
    reference: Subject,
    decision: _Decision,
    remarks: tuple[str, ...],
) -> Report:
    """Measure on the reported split, and say beside it what was done and decided."""
    report = _measured(job, family, reference, decision)
    if job.device is not None:
        report = _of_device(job.device, report, family, decision)
    for note in report.notes:
        _log.warning("%s", note)
    return replace(
        report,
        recommended=None if decision.chosen is None else decision.chosen.row_id,
        method={**report.method, "choosing": decision.busy},
        data={
            **report.data,
            "source": job.data,
            "fingerprint": job.splits.fingerprint,
            "seed": job.recipe.seed,
            "splits": job.splits.sizes(),
            "notes": list(job.splits.notes),
        },
        budget={
            "max_drop": job.recipe.most_lost,
            "target_latency_ms": job.recipe.target_latency_ms,
            **_agreement_asked(job),
            "confidence": job.recipe.confidence,
            "effort": job.recipe.effort,
        },
        decisions=decision.reasons,
        family=tuple(
            {
                "name": member.name,
                "description": member.description,
                "lineage": [dict(step) for step in member.lineage],
            }
            for member in decision.members
        ),
        notes=(
            *report.notes,
            *remarks,
            *self_test_remarks(decision.members),
            *_table_remarks(job, family),
        ),
        command=job.command,
    )


def _agreement_asked(job: Job) -> dict[str, float]:
    """Return the budget of texts that nobody labelled."""
    if job.splits.report.labelled:
        return {}
    return {"min_agreement": 100 - job.recipe.most_lost}


def _of_device(device: Device, report: Report, family: Family, decision: _Decision) -> Report:
    """Leave out what this machine's speed says, and say what is expected on the device."""
    shown = {row.id for row in report.rows}
    expected = {
        one.row_id: device.expected_ms(one.member)
        for one in decision.candidates
        if one.row_id in shown
    }
    report = without_timings(report)
    rows = tuple(
        replace(row, note=f"{row.note} {expected[row.id]:.2f} ms expected on the device.".strip())
        if row.id in expected
        else row
        for row in report.rows
    )
    lengths = None if family.context is None else family.context.material.texts.lengths.tolist()
    return replace(
        report,
        rows=rows,
        method={**report.method, "device": device.facts(expected)},
        notes=(*report.notes, *device.notes(lengths)),
    )


def _with_checkpoints(report: Report, published: Mapping[str, Published]) -> Report:
    """Say which checkpoints there are, and why one is not opened without this package."""
    family = tuple(
        {**entry, "checkpoint": published[entry["name"]].to_json()}
        if entry["name"] in published
        else entry
        for entry in report.family
    )
    ours = {each.reason: each for each in published.values() if each.reason}
    notes = [
        f"The PyTorch checkpoints open after {IMPORT}, as {each.opens_as}: {reason}."
        for reason, each in ours.items()
    ]
    return replace(report, family=family, notes=(*report.notes, *notes))


def _table_remarks(job: Job, family: Family) -> list[str]:
    """Say so where the members' sizes are from a latency table that is not to be relied on."""
    table = None if family.context is None else family.context.latency
    if table is None or not table.doubt or job.device is not None:
        return []
    return [
        f"What layers cost was measured on a busy machine ({table.doubt}): the members' sizes may "
        "not be the best for it. --remeasure measures again when the machine is quiet."
    ]


def _alternatives(
    job: Job, family: Family, chosen: Candidate | None
) -> tuple[list[Staged], tuple[str, ...]]:
    """Return other ways to quantize, worth measuring beside what was chosen, and what was found.

    The next faster member with some layers in float, where INT8 costs it the budget and that brings
    it back; the chosen member in other schemes otherwise. A member that is outside for another
    reason would come inside by chance.
    """
    context = family.context
    if context is None or not job.recipe.quantize.alternatives:
        return [], ()
    from compress.search.drop_estimate import estimate_drop
    from compress.search.quantization_search import mixed_precision, variants

    # Members stand in order of speed: the one after the chosen one is the next faster.
    place, reasons = -1, tuple[str, ...]()
    if chosen is not None:
        place = family.members.index(chosen.member)
    budget = job.recipe.budget
    if budget is not None and place + 1 < len(family.staged):
        following = family.staged[place + 1]
        encoder, selection = following.encoder, following.context.material.selection

        def loses_too_much(plan: "QuantizationPlan | None") -> bool:
            lost = estimate_drop(encoder.module, selection, plan)
            return probable_drop(lost, job.recipe.confidence) > budget

        if (
            encoder.plan is not None
            and not isinstance(selection.examples.targets, Spans)  # their distance is not compared
            and loses_too_much(encoder.plan)
            and not loses_too_much(None)
        ):
            mixed = mixed_precision(following, job.workspace)
            reasons = (mixed.reason,)
            if mixed.staged is not None:
                return [mixed.staged], reasons
    return (variants(family.staged[place]) if place >= 0 else []), reasons


def _choose(
    job: Job, family: Family, reference: Subject, candidates: Sequence[Candidate]
) -> tuple[Choice, str]:
    """Choose, and say what others did with the cores meanwhile; "" where it did not matter."""
    settings, teachers = job.recipe.benchmark, _teachers_answers(family)
    known = {**teachers, **job.answers}
    # Enough to rank members whose speed differs by some percent; the final table takes more.
    rounds = min(6, settings.rounds)
    report = run_benchmark(
        [reference, *(candidate.subject(job.recipe.threads) for candidate in candidates)],
        job.splits.selection,
        LatencySettings(
            rounds=rounds,
            sentences=min(20, settings.sentences),
            seconds=60.0,
            min_rounds=min(3, rounds),
            throughput_inputs=0,
        )
        if job.device is None
        else ACCURACY_ALONE,
        seed=job.recipe.seed,
        progress=job.progress,
        scratch=job.workspace.scratch,
        title="choosing",
        answers=known,
        unopened=teachers,
    )
    # In the table are those of the original as it is delivered.
    job.answers.update((name, own) for name, own in known.items() if name not in teachers)
    rows: list[Row] = [row for row in report.rows if row.id != REFERENCE]
    if job.device is not None:
        rows = job.device.timed(rows, candidates)
    seen = Disturbance.from_json(report.method["disturbance"])
    choice = choose(
        rows,
        max_drop=job.recipe.most_lost,
        confidence=job.recipe.confidence,
        target_latency_ms=job.recipe.target_latency_ms,
        names={row.id: f"{row.model.partition(':')[0]} on {how_run(row)}" for row in rows},
        clock="" if job.device is None else "expected on the device",
    )
    return choice, seen.describe() if seen.kept else ""


def _teachers_answers(family: Family) -> "dict[str, NDArray[np.float32]]":
    """Return what the original answers on the selection split, where that is known.

    The teacher is the original to within rounding, which importing it has shown. But the original
    reads texts to their ends that it was cut for, and its answers to questions are found in more
    than its logits: there it has to be asked.
    """
    if family.context is None:
        return {}
    material = family.context.material
    if isinstance(material.selection.examples.targets, Spans) or material.selection_is_cut:
        return {}
    return {REFERENCE: material.selection.teacher_logits}


def _measured(job: Job, family: Family, reference: Subject, decision: _Decision) -> Report:
    """Return the table: the original, its stock exports, and ours.

    Of the family, every member is shown on the runtime of the recommended row, and the
    recommended one on every runtime, if the recipe has the time for it.
    """
    settings = job.recipe.benchmark
    chosen, threads = decision.chosen, job.recipe.threads
    runtime = decision.runtimes[0] if chosen is None else chosen.runtime
    shown = [
        candidate.subject(threads)
        for candidate in decision.candidates
        if candidate.runtime == runtime
    ]
    if chosen is not None and settings.every_runtime:
        member = chosen.member
        elsewhere = [name for name in competing_runtimes(job.recipe.competing) if name != runtime]
        shown += [each.subject(threads) for each in candidates_of([member], elsewhere)]
        if member.checkpoint is not None:
            shown.append(
                replace(
                    chosen.subject(threads),
                    id=Candidate(member, "pytorch").row_id,
                    kind="checkpoint",
                    path=member.checkpoint,
                    runtime="pytorch",
                    precision="fp32",
                )
            )
    subjects = [reference, *family.rivals, *shown]
    answers = job.answers if job.splits.shared else {}
    report = run_benchmark(
        subjects,
        job.splits.report,
        LatencySettings(
            rounds=settings.rounds,
            sentences=settings.sentences,
            seconds=240.0,
            throughput_inputs=512 if settings.throughput else 0,
            cold_starts=settings.cold_starts,
        )
        if job.device is None
        else ACCURACY_ALONE,
        cold=[REFERENCE, *([] if chosen is None else [chosen.row_id])],
        compared=shown[0].id if chosen is None else chosen.row_id,
        texts=settings.texts,
        seed=job.recipe.seed,
        progress=job.progress,
        scratch=job.workspace.scratch,
        title="measuring",
        answers=answers,
    )
    report = replace(report, sizes=sizes_by_part(subjects))
    if job.splits.shared and chosen is not None:
        rivals = [one for one in decision.candidates if one.runtime == runtime]
        report = replace(report, crossed=_crossed(job, report, rivals, answers))
    return report


def _crossed(
    job: Job,
    report: Report,
    candidates: Sequence[Candidate],
    answers: "Mapping[str, NDArray[np.float32]]",
) -> CrossFitted | None:
    """Return what choosing among the candidates loses, on texts that did not choose."""
    rows = [report.row(one.row_id) for one in candidates]
    if job.device is not None:
        rows = job.device.timed(rows, candidates)
    answered = [row for row in rows if row.id in answers and row.end_to_end_ms is not None]
    if REFERENCE not in answers or not answered:
        return None
    recipe = job.recipe
    paces = {row.id: (row.runtime, row.end_to_end_ms.p50) for row in answered if row.end_to_end_ms}
    inside = partial(fastest_inside, max_drop=recipe.most_lost, confidence=recipe.confidence)
    if recipe.target_latency_ms is not None:
        inside = partial(least_lost, target=recipe.target_latency_ms, confidence=recipe.confidence)
    return cross_fitted(
        answers[REFERENCE],
        {name: answers[name] for name in paces},
        paces,
        job.splits.report,
        inside,
        seed=recipe.seed,
    )


def _chosen(choice: Choice, candidates: Iterable[Candidate]) -> Candidate | None:
    return next((one for one in candidates if one.row_id == choice.row_id), None)
