"""`edgepress deploy`: hands an artifact on, with what runs it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.output import Json, Revision, RuntimeName, write_json
from compress.errors import UsageError
from export.deployment.platforms import DEFAULT_PYTHON, PLATFORMS
from export.layouts.registry import get_layout, layout_names

__all__ = ["deploy", "unpack"]


def _layouts(incomplete: str) -> list[tuple[str, str]]:
    """Complete a layout's name, with its line."""
    found = [name for name in layout_names() if name.startswith(incomplete)]
    return [(name, get_layout(name).DESCRIPTION) for name in found]


def _platforms(incomplete: str) -> list[tuple[str, str]]:
    """Complete a platform's name, with its title."""
    return [(n, p.title) for n, p in PLATFORMS.items() if n.startswith(incomplete)]


def deploy(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="Artifact folder, or its id on the hub.")
    ],
    to: Annotated[
        Path | None, typer.Option(metavar="DIR|FILE.tar.gz", help="What to write (required).")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar=f"[{'|'.join(layout_names())}]",
            help="(required)",
            autocompletion=_layouts,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model's name; by default that of DIR.")
    ] = None,
    runtime: RuntimeName = None,
    platform: Annotated[
        str | None,
        typer.Option(
            metavar="PLATFORM",
            help="Whose wheels go along, such as linux-aarch64; by default this machine's.",
            autocompletion=_platforms,
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="3.N", help=f"For which Python; by default {DEFAULT_PYTHON}."),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            metavar="",
            help="Of a bundle: all wheels go along, as for docker.",
        ),
    ] = False,
    revision: Revision = None,
    as_json: Json = False,
) -> None:
    """Hand an artifact on, with what runs it; DIR or FILE.tar.gz must not exist.

    bundle: artifact, wheel, requirements with hashes, scripts and a systemd unit. docker: what
    builds an image without a network. transformers.js: the files that it looks for. open-inference:
    repositories of Triton and OpenVINO Model Server. Archives of the same have the same bytes.
    """
    from export.deployment.deploy import deploy as write_deployment
    from runtimes.hub import artifact_folder
    from runtimes.serving.settings import name_of

    if to is None or layout is None:
        raise UsageError(
            f"{'--to' if to is None else '--as'} is missing",
            hint=f"try: edgepress deploy {artifact} --to {to or 'mine'} --as {layout or 'bundle'}",
        )
    done = write_deployment(
        artifact_folder(artifact, revision=revision, runtime=runtime),
        to,
        layout=layout,
        name=name or name_of(str(to).removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")),
        runtime=runtime,
        platform=platform,
        python=python,
        offline=offline,
    )
    if as_json:
        write_json({**asdict(done), "path": str(done.path)})
        return
    sys.stdout.write(
        f"wrote   {to}: {len(done.files)} files, {done.size_bytes / 1e6:.1f} MB\n"
        + (f"sha256  {done.sha256}\n" if done.sha256 else "")
        + f"then    {done.then}\n"
    )


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .tar.gz of edgepress deploy.")],
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to make (required).")
    ] = None,
) -> None:
    """Unpack what was deployed: refuse what reaches beyond DIR, and compare its SHA-256.

    Where only a runtime is installed: python -m runtimes unpack FILE --to DIR.
    """
    from runtimes.unpacking import unpack as unpacked

    if to is None:
        raise UsageError("--to is missing", hint=f"try: edgepress unpack {file} --to mine")
    sys.stdout.write(f"unpacked  {unpacked(file, to)}\n")
