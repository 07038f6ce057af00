"""`edgepress doctor`: what this machine has, what it lacks, and the command that brings it."""

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from compress.cli.output import Json, write_json

__all__ = ["diagnose", "doctor", "render_diagnosis"]


def doctor(
    every: Annotated[
        bool, typer.Option("--all", metavar="", help="Also devices that are not here.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show this machine: runtimes, devices, versions, conflicts; with --all why one is absent."""
    diagnosis = diagnose()
    if as_json:
        write_json(diagnosis)
    else:
        sys.stdout.write(render_diagnosis(diagnosis, every=every))


def diagnose() -> dict[str, Any]:
    """Return environment, devices of every runtime, and problems, JSON-able."""
    from benchmarks.environment import describe_environment
    from compress.system.memory import memory_limits
    from runtimes.registry import devices

    return {
        "environment": describe_environment(),
        "memory": [asdict(limit) for limit in memory_limits()],
        "disk": {"folder": str(Path.cwd()), "free_bytes": shutil.disk_usage(Path.cwd()).free},
        "devices": [asdict(device) for device in devices()],
        "problems": _problems(),
    }


def render_diagnosis(diagnosis: dict[str, Any], *, every: bool) -> str:
    """Return the diagnosis as text.

    Args:
        diagnosis: From `diagnose`.
        every: Whether to say of each absent device why it is.
    """
    from benchmarks.render.figures import describe_cpu
    from compress.system.memory import Limit
    from compress.system.room import shown_bytes

    environment = diagnosis["environment"]
    lines = [f"cpu     {describe_cpu(environment)}"]
    if not any("vnni" in flag for flag in (environment.get("cpu") or {}).get("flags", ())):
        lines.append(
            "        no VNNI: INT8 weights get 7 bits where they are quantized here, as sums of 8 "
            "may saturate"
        )
    memory = ", ".join(str(Limit(**limit)) for limit in diagnosis["memory"])
    disk = diagnosis["disk"]
    lines += [
        f"memory  {memory}",
        f"disk    {shown_bytes(disk['free_bytes'])} free in {disk['folder']}",
        "        what a run takes is at the top of its run.log",
        "",
    ]
    devices = sorted(diagnosis["devices"], key=lambda device: not device["available"])
    runtime, name = (max(len(device[key]) for device in devices) for key in ("runtime", "device"))
    for device in devices:
        if not (every or device["available"]):
            continue
        mark = "yes" if device["available"] else "no "
        before = f"{mark}     {device['runtime']:<{runtime}}  {device['device']:<{name}}  "
        lines.append(before + device["detail"])
        if device["hint"]:
            lines.append(" " * len(before) + device["hint"])
    absent = [f"{d['runtime']} {d['device']}" for d in devices if not d["available"]]
    if absent and not every:
        lines.append(f"not here: {', '.join(absent)}")
        lines.append("          why, and what would bring them: edgepress doctor --all")
    lines.append("")
    versions = environment.get("libraries") or environment.get("versions") or {}
    lines += [f"{name:<14} {version}" for name, version in versions.items()]
    lines.append("")
    lines += [f"problem  {text}" for text in diagnosis["problems"]] or ["no problem found"]
    return "\n".join(lines) + "\n"


def _problems() -> list[str]:
    from runtimes.registry import get_runtime, runtime_names
    from runtimes.versions import installed_version, installed_versions

    problems = []
    for usual, *others in (get_runtime(name).DISTRIBUTIONS for name in runtime_names()):
        # Builds are called like the usual one, and install the same files: the last one wins.
        builds = installed_versions(usual, *(name for name in others if name.startswith(usual)))
        if len(builds) > 1:
            problems.append(
                f"{' and '.join(builds)} are both installed and overwrite each other; keep one: "
                f"pip uninstall {' '.join(builds)}, then pip install the one you want"
            )
    if installed_version("torchvision") and "+cpu" in (installed_version("torch") or ""):
        problems.append(
            "torchvision beside a CPU build of torch breaks importing transformers: "
            "pip uninstall torchvision"
        )
    return problems
