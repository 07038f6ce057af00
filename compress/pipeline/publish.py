"""Publishes a run: artifact, family and report appear in the output folder."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.agreement import measures_agreement
from benchmarks.profiling.deployed import merged
from benchmarks.render.figures import budget_line
from benchmarks.render.files import write_report
from benchmarks.render.headline import data_name, summary, title_of
from benchmarks.render.markdown import PICTURES, render_table
from benchmarks.report import Report, damage_named, load_report
from compress.data.sources import hub_dataset
from compress.search.members import Candidate, Member
from compress.system.workspace import Workspace
from export.card import Measured, render_card
from export.origin import Origin
from export.package import republish
from runtimes.artifact import MANIFEST_NAME, read_content, read_manifest
from runtimes.errors import ArtifactError
from runtimes.manifest import digest_of
from runtimes.registry import runtime_names

__all__ = ["merge_measured", "publish", "publish_report", "published_artifacts"]


def publish(
    report: Report,
    members: Sequence[Member],
    recommended: Member | None,
    workspace: Workspace,
    origin: Origin,
    data: str,
) -> None:
    """Write the artifact and the other members; `publish_report` comes last.

    Where nothing is recommended, an artifact of an earlier run is removed, so that the folder never
    offers what its report does not.
    """
    others = [member for member in members if member is not recommended]
    for member in others:
        _publish(member, workspace.family / member.name, report, origin, data)
    if workspace.family.is_dir():
        for folder in workspace.family.iterdir():
            if folder.is_dir() and folder.name not in {member.name for member in others}:
                shutil.rmtree(folder)
    if recommended is None:
        shutil.rmtree(workspace.artifact, ignore_errors=True)
    else:
        _publish(recommended, workspace.artifact, report, origin, data)


def publish_report(report: Report, workspace: Workspace) -> None:
    """Write the report, in all its forms, in place of an earlier run's."""
    shutil.rmtree(workspace.out / PICTURES, ignore_errors=True)  # of an earlier run's members
    write_report(report, workspace.out)


def published_artifacts(out: Path) -> list[Path]:
    """Return the folders of the artifacts that `publish` wrote into an output folder."""
    folders = [out / "artifact", *sorted((out / "family").glob("*"))]
    return [folder for folder in folders if (folder / MANIFEST_NAME).is_file()]


def merge_measured(out: Path, measured: Sequence[Path]) -> Report:
    """Add what was measured on the device to a run's report, and write it anew in all its forms.

    Args:
        out: The run's output folder.
        measured: What `python -m benchmarks run` wrote.

    Raises:
        ArtifactError: A report cannot be read.
        ProfileError: The run was for no other device, or something else was measured.
    """
    report = load_report(out / "report.json")
    folders = published_artifacts(out)
    digests = {digest_of(read_content(folder)): folder.name for folder in folders}
    for path in measured:
        device = load_report(path)
        with damage_named(out / "report.json", path):
            report = merged(report, device, digests)
    with damage_named(out / "report.json", *measured):
        write_report(report, out)
    return report


def _publish(member: Member, target: Path, report: Report, origin: Origin, data: str) -> None:
    manifest = read_manifest(member.artifact)
    ids = {Candidate(member, runtime).row_id for runtime in runtime_names()}
    rows = [row for row in report.rows if row.id in ids]
    metrics: dict[str, Any] = {
        "rows": [dataclasses.asdict(row) for row in rows],
        "measured_on": report.data.get("fingerprint"),
        "seed": report.data.get("seed"),
    }
    if report.crossed is not None and report.recommended in ids:
        metrics["crossed"] = dataclasses.asdict(report.crossed)
    metric = next((row.metric for row in rows if row.metric is not None), None)
    differences = report.differences if any(row.id == report.compared for row in rows) else None
    measured = Measured(
        title=title_of(report),
        summary=summary(report),
        table=f"{render_table(report)}\n\n{budget_line(report)}",
        data=data_name(data),
        data_id=hub_dataset(data),
        metric=None if metric is None else dataclasses.asdict(metric),
        labelled=not measures_agreement(metric),
        differing=None if differences is None else (differences.differing, differences.items),
    )
    card = render_card(member.artifact, origin, measured)
    _remove_damaged(target)
    republish(member.artifact, target, manifest, metrics, card)


def _remove_damaged(target: Path) -> None:
    """Remove an artifact of an earlier run that can no longer be read."""
    if (target / MANIFEST_NAME).is_file():
        try:
            read_manifest(target)
        except ArtifactError:
            shutil.rmtree(target)
