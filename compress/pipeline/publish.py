"""Publishes a run: artifact, family and report appear in the output folder."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.render.figures import budget_line
from benchmarks.render.files import write_report
from benchmarks.render.headline import summary
from benchmarks.render.markdown import PICTURES, render_table
from benchmarks.report import Report
from compress.search.members import Candidate, Member
from compress.system.workspace import Workspace
from export.card import render_card
from export.examples import example_code
from export.package import republish
from runtimes.artifact import MANIFEST_NAME, read_manifest
from runtimes.errors import ArtifactError
from runtimes.registry import runtime_names

__all__ = ["publish", "publish_report"]


def publish(
    report: Report,
    members: Sequence[Member],
    recommended: Member | None,
    workspace: Workspace,
    model_name: str,
    data_name: str,
) -> None:
    """Write the artifact and the other members; `publish_report` comes last.

    Where nothing is recommended, an artifact of an earlier run is removed, so that the folder never
    offers what its report does not.
    """
    others = [member for member in members if member is not recommended]
    for member in others:
        _publish(member, workspace.family / member.name, report, model_name, data_name)
    if workspace.family.is_dir():
        for folder in workspace.family.iterdir():
            if folder.is_dir() and folder.name not in {member.name for member in others}:
                shutil.rmtree(folder)
    if recommended is None:
        shutil.rmtree(workspace.artifact, ignore_errors=True)
    else:
        _publish(recommended, workspace.artifact, report, model_name, data_name)


def publish_report(report: Report, workspace: Workspace) -> None:
    """Write the report, in all its forms, in place of an earlier run's."""
    shutil.rmtree(workspace.out / PICTURES, ignore_errors=True)  # of an earlier run's members
    write_report(report, workspace.out)


def _publish(member: Member, target: Path, report: Report, model_name: str, data_name: str) -> None:
    manifest = read_manifest(member.artifact)
    ids = {Candidate(member, runtime).row_id for runtime in runtime_names()}
    rows = [row for row in report.rows if row.id in ids]
    metrics: dict[str, Any] = {
        "rows": [dataclasses.asdict(row) for row in rows],
        "measured_on": report.data.get("fingerprint"),
        "seed": report.data.get("seed"),
    }
    metric = next((row.metric for row in rows if row.metric is not None), None)
    card = render_card(
        name=model_name,
        task=manifest.task,
        labels=manifest.labels,
        example=example_code(member.artifact),
        summary=summary(report),
        table=f"{render_table(report)}\n\n{budget_line(report)}",
        runtimes=list(dict.fromkeys(model.runtime for model in manifest.models)),
        lineage=manifest.lineage,
        metric=None if metric is None else {"name": metric.name, "value": metric.value},
        data=Path(data_name).name,
    )
    _remove_damaged(target)
    republish(member.artifact, target, manifest, metrics, card)


def _remove_damaged(target: Path) -> None:
    """Remove an artifact of an earlier run that can no longer be read."""
    if (target / MANIFEST_NAME).is_file():
        try:
            read_manifest(target)
        except ArtifactError:
            shutil.rmtree(target)
