"""`edgepress inspect`, `check` and `clean`: what a folder is, is it right here, what can go."""

import io
import shlex
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.cli.output import Json, tell, wide_console
from compress.errors import (
    ArtifactError,
    MissingDependencyError,
    ModelError,
    UsageError,
    WrongAnswersError,
)
from runtimes.escaping import dump_json, escape_line

if TYPE_CHECKING:
    from runtimes.inventory import Inventory
    from runtimes.manifest import Manifest

__all__ = ["check", "clean", "inspect", "inspect_path"]

_INDENT = 12


def inspect(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Artifact, checkpoint, output folder or report.")
    ],
    as_json: Json = False,
) -> None:
    """Show what a folder is: task, labels, sizes, what was done to it, whether it is intact.

    Of an artifact every file is listed, with its state. Where one is not as it should be, the exit
    code is 1.
    """
    from runtimes.artifact import MANIFEST_NAME

    if not (path / MANIFEST_NAME).exists():
        sys.stdout.write(inspect_path(path, as_json=as_json))
        return
    from runtimes.inventory import take_inventory

    found = take_inventory(path)
    sys.stdout.write(_artifact(path, found, as_json=as_json))
    if found.problems:
        sys.stdout.flush()  # before what is said on stderr
        raise ArtifactError(
            "\n".join(found.problems), hint="Copy the artifact again, or export it anew."
        )


def check(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="Artifact folder.")],
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="cpu, cuda, gpu, npu or auto.")
    ] = "cpu",
    as_json: Json = False,
) -> None:
    """Run an artifact's self-test: is each runtime right on this machine, at every length?

    The artifact holds inputs and what PyTorch and its own files answered where it was made. Where
    only a runtime is installed: python -m runtimes check ARTIFACT. If one is wrong, the exit code
    is 1.
    """
    from runtimes.checks import check_artifact, render

    found = check_artifact(artifact, device=device)
    shown = (
        dump_json([one.to_json() for one in found], indent=2) + "\n" if as_json else render(found)
    )
    sys.stdout.write(shown)
    sys.stdout.flush()
    if wrong := [one.runtime for one in found if one.wrong]:
        raise WrongAnswersError(
            f"{', '.join(wrong)}: wrong on this machine",
            hint="another runtime, or another version of it, may be right",
        )
    if not any(one.right for one in found):
        raise MissingDependencyError(
            "no runtime of the artifact could be asked", hint="edgepress doctor shows what is here"
        )


def clean(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a run.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Remove it.")] = False,
) -> None:
    """Show what a run keeps to go on from, and remove it with --yes.

    Artifact, family, report and log stay. The same command then starts from the beginning.
    """
    from compress.system.room import shown_bytes
    from compress.system.workspace import Workspace

    if not out.is_dir():
        raise UsageError(f"{out} is no output folder", hint="name what stood after --out")
    workspace = Workspace(out)
    kept = workspace.kept()
    if yes:
        workspace.clear()
    whole = shown_bytes(sum(kept.values()))
    sys.stdout.write(f"{whole} {'removed' if yes else 'can be removed'} from {out}\n")
    width = max(map(len, kept), default=0)
    sys.stdout.writelines(f"  {n:<{width}}  {shown_bytes(size):>8}\n" for n, size in kept.items())
    if not yes and kept:
        again = shlex.join(["edgepress", "clean", str(out), "--yes"])
        tell(f"the artifact needs none of it; to remove it: {again}")


def inspect_path(path: Path, *, as_json: bool = False) -> str:
    """Describe a checkpoint, a run's output folder or a `report.json`.

    Raises:
        ArtifactError: A report that is damaged, or a checkpoint without weights.
        ModelError: It is none of these.
    """
    if path.is_file() and path.suffix == ".json":
        return _report(path, as_json=as_json)
    if (path / "report.json").is_file():
        return _report(path / "report.json", as_json=as_json)
    if (path / "config.json").is_file():
        return _checkpoint(path, as_json=as_json)
    what = "does not exist" if not path.exists() else "is no artifact, checkpoint or report"
    raise ModelError(
        f"{path} {what}",
        hint="name a folder with manifest.json, config.json or report.json, or a report.json",
    )


def _artifact(path: Path, found: "Inventory", *, as_json: bool) -> str:
    if as_json:
        return dump_json(_facts(path, found), indent=2) + "\n"
    lines = [f"artifact    {path}"]
    if found.manifest is not None:
        lines += _described(found.manifest)
    lines += [
        f"signature   {found.signature}",
        *(f"removed     {runtime}: none of its files is left" for runtime in found.removed),
        *_listed(found),
    ]
    return "".join(f"{escape_line(line)}\n" for line in lines)


def _facts(path: Path, found: "Inventory") -> dict[str, Any]:
    """Return what the manifest says, with the state of every file."""
    from dataclasses import asdict

    manifest = {} if found.manifest is None else asdict(found.manifest)
    listed = manifest.get("files", {})
    files = {name: {**listed.get(name, {}), **asdict(of)} for name, of in found.files.items()}
    return {
        **manifest,
        "artifact": str(path),
        "files": files,
        "removed": list(found.removed),
        "signature": found.signature,
        "problems": found.problems,
    }


def _described(manifest: "Manifest") -> Iterator[str]:
    from export.card import in_words

    yield f"written by  {manifest.created_by}, format {manifest.format}"
    yield f"task        {manifest.task}, {manifest.problem_type}"
    yield from _wrapped("labels", ", ".join(manifest.labels))
    yield f"max length  {manifest.max_length} tokens"
    for model in manifest.models:
        size = sum(
            entry["size_bytes"]
            for name, entry in manifest.files.items()
            if Path(name).parent == Path(model.path).parent
        )
        yield f"model       {model.path}: {model.precision}, {size / 1e6:.1f} MB"
    for step in manifest.lineage:
        yield from _wrapped("made", in_words(step))
    rows = manifest.metrics.get("rows")
    for row in rows if isinstance(rows, list) else ():
        try:
            yield f"measured    {_row_line(row)}"
        except (AttributeError, LookupError, TypeError, ValueError):  # it may say anything
            yield f"measured    {row!r:.60}"


def _wrapped(name: str, text: str) -> Iterator[str]:
    """Yield a sentence, or a list, in lines that are as wide as the terminal."""
    width = max(40, wide_console().width - _INDENT)
    lines = textwrap.wrap(escape_line(text), width, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield f"{name if number == 0 else '':<{_INDENT}}{line}"


def _listed(found: "Inventory") -> Iterator[str]:
    """Yield a line a file, and before them what they come to."""
    states = [file.state for file in found.files.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    if not {"changed", "missing"} & set(states):
        counts = f"all match their SHA-256 ({counts})"
    yield f"files       {counts}"
    width = max(map(len, found.files))
    for name, file in found.files.items():
        size = "" if file.size_bytes is None else f"{file.size_bytes:,}"
        yield f"  {file.state:<10}  {name:<{width}}  {size:>13}  {file.what}".rstrip()


def _row_line(row: dict[str, Any]) -> str:
    parts = [f"{row['runtime']} {row['precision']}"]
    if row.get("end_to_end_ms"):
        parts.append(f"{row['end_to_end_ms']['p50']:.2f} ms")
    if row.get("speedup") and not row.get("doubt"):
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
        return dump_json(report.to_json(), indent=2) + "\n"
    from rich.console import Console

    from benchmarks.render.terminal import print_report

    text, shown = io.StringIO(), wide_console()
    with damage_named(path):
        print_report(
            report, Console(file=text, width=shown.width, force_terminal=shown.is_terminal)
        )
    return text.getvalue()


def _made(path: Path) -> dict[str, str]:
    """Return what a checkpoint that a run published says of itself; empty of all others."""
    from runtimes.artifact import DETAILS_NAME
    from runtimes.json_files import read_json

    found = read_json(path / DETAILS_NAME).get("checkpoint")
    if not isinstance(found, dict):
        return {}
    alike = f"answers like the exported model, to {found.get('max_abs_delta')}"
    reason = f" ({found['reason']})" if found.get("reason") else ""
    stages = ", ".join(str(step.get("stage")) for step in found.get("lineage", ()))
    return {
        "made by": f"{found.get('created_by')}: {found.get('description')}; {stages}",
        "opens as": f"{found.get('opens_as')}{reason}; {alike}",
    }


def _checkpoint(path: Path, *, as_json: bool) -> str:
    from compress.encoder.importers.registry import supported_model_types
    from runtimes.hf_config import read_hf_config

    config = read_hf_config(path)

    family = config.model_type or "unknown"
    supported = family in supported_model_types()
    weights = sorted(file.name for file in path.glob("*.safetensors") if file.is_file())
    size = sum((path / name).stat().st_size for name in weights)
    if not weights:
        raise ArtifactError(f"{path} has a config.json but no safetensors weights")
    facts = {
        "checkpoint": str(path),
        "family": family,
        "importer": "yes" if supported else "no: export and INT8 only, no distillation or pruning",
        "labels": list(config.labels),
        "weights": f"{', '.join(weights)}, {size / 1e6:.1f} MB",
        **_made(path),
    }
    if as_json:
        return dump_json(facts, indent=2) + "\n"
    shown = {**facts, "labels": ", ".join(config.labels)}
    lines = (line for name, value in shown.items() for line in _wrapped(name, str(value)))
    return "".join(f"{line}\n" for line in lines)
