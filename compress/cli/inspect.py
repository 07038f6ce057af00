"""`compress inspect`: what a folder or report is, in words."""

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from compress.cli.output import Json
from compress.errors import ArtifactError, ModelError

__all__ = ["inspect", "inspect_path"]


def inspect(
    path: Annotated[Path, typer.Argument(help="Artifact, checkpoint, output folder or report.")],
    as_json: Json = False,
) -> None:
    """Show what a folder is: task, labels, sizes, what was done to it, whether it is intact."""
    sys.stdout.write(inspect_path(path, as_json=as_json))


def inspect_path(path: Path, *, as_json: bool = False) -> str:
    """Describe an artifact, a checkpoint, a run's output folder or a `report.json`.

    Raises:
        ArtifactError: An artifact or report that is damaged; the message names the file.
        ModelError: It is none of these.
    """
    from runtimes.artifact import MANIFEST_NAME

    if path.is_file() and path.suffix == ".json":
        return _report(path, as_json=as_json)
    if (path / MANIFEST_NAME).is_file():
        return _artifact(path, as_json=as_json)
    if (path / "report.json").is_file():
        return _report(path / "report.json", as_json=as_json)
    if (path / "config.json").is_file():
        return _checkpoint(path, as_json=as_json)
    what = "does not exist" if not path.exists() else "is no artifact, checkpoint or report"
    raise ModelError(
        f"{path} {what}",
        hint="name a folder with manifest.json, config.json or report.json, or a report.json",
    )


def _artifact(path: Path, *, as_json: bool) -> str:
    from runtimes.artifact import MANIFEST_NAME, read_manifest, verify

    manifest = read_manifest(path)
    verify(path, manifest)
    if as_json:
        return (path / MANIFEST_NAME).read_text(encoding="utf-8")
    lines = [
        f"artifact    {path} (format {manifest.format}, {manifest.created_by})",
        f"task        {manifest.task}, {manifest.problem_type}",
        f"labels      {', '.join(manifest.labels)}",
        f"max length  {manifest.max_length} tokens",
        "files       all match their SHA-256",
    ]
    for model in manifest.models:
        size = sum(
            entry["size_bytes"]
            for name, entry in manifest.files.items()
            if Path(name).parent == Path(model.path).parent
        )
        lines.append(f"model       {model.path}: {model.precision}, {size / 1e6:.1f} MB")
    for step in manifest.lineage:
        details = ", ".join(f"{key} {value}" for key, value in step.items() if key != "stage")
        lines.append(f"stage       {step.get('stage')}: {details}")
    for row in manifest.metrics.get("rows", ()):
        lines.append(f"measured    {_row_line(row)}")
    return "\n".join(lines) + "\n"


def _row_line(row: dict[str, Any]) -> str:
    parts = [f"{row['runtime']} {row['precision']}"]
    if row.get("end_to_end_ms"):
        parts.append(f"{row['end_to_end_ms']['p50']:.2f} ms")
    if row.get("speedup"):
        parts.append(f"{row['speedup']['value']:.1f} times as fast")
    if row.get("metric"):
        parts.append(f"{row['metric']['name']} {row['metric']['value']:.1f}")
    if row.get("drop"):
        parts.append(f"drop {row['drop']['value']:+.1f}")
    return ", ".join(parts)


def _report(path: Path, *, as_json: bool) -> str:
    from benchmarks.report import damage_named, load_report

    report = load_report(path)
    if as_json:
        return json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"
    from rich.console import Console

    from benchmarks.render.terminal import print_report

    text = io.StringIO()
    with damage_named(path):
        print_report(report, Console(file=text, width=120))
    return text.getvalue()


def _checkpoint(path: Path, *, as_json: bool) -> str:
    from compress.encoder.importers.registry import supported_model_types
    from runtimes.hf_config import read_hf_config

    config = read_hf_config(path)

    family = config.model_type or "unknown"
    supported = family in supported_model_types()
    weights = sorted(file.name for file in path.glob("*.safetensors"))
    size = sum((path / name).stat().st_size for name in weights)
    if not weights:
        raise ArtifactError(f"{path} has a config.json but no safetensors weights")
    facts = {
        "checkpoint": str(path),
        "family": family,
        "importer": "yes" if supported else "no: export and INT8 only, no distillation or pruning",
        "labels": list(config.labels),
        "weights": f"{', '.join(weights)}, {size / 1e6:.1f} MB",
    }
    if as_json:
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    shown = {**facts, "labels": ", ".join(config.labels)}
    return "".join(f"{name:<11} {value}\n" for name, value in shown.items())
