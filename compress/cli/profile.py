"""`edgepress profile`: the kit by which another device is measured."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.output import (
    Data,
    Json,
    LabelColumn,
    PairColumn,
    Quiet,
    TextColumn,
    tell,
    write_json,
)
from compress.errors import UsageError

__all__ = ["profile"]


def profile(
    action: Annotated[str, typer.Argument(metavar="kit", help="What to make: kit.")],
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Checkpoint folder, or a model id of the hub.")
    ],
    data: Data = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="For the kit.")] = Path("kit"),
    runtimes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Runtimes that the device has, of onnxruntime,openvino (default all).",
        ),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(metavar="N", min=8, help="Tokens kept of a text.")
    ] = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write probes for a device: it measures what layers cost there, with no PyTorch."""
    if action != "kit":
        raise UsageError(
            f"there is no {action!r} to make",
            hint=f"try: edgepress profile kit {shlex.quote(model)} --out kit",
        )
    from compress.api import profile_kit

    kit = profile_kit(
        model,
        data,
        out=out,
        runtimes=None if runtimes is None else [name.strip() for name in runtimes.split(",")],
        max_length=max_length,
        text_column=text_column,
        pair_column=pair_column,
        label_column=label_column,
        progress=not quiet,
    )
    if as_json:
        write_json({"kit": str(out), "digest": kit.digest, "probes": len(kit.shapes)})
    if data is None:
        tell("no --data: texts of 8 to 64 tokens are measured", kind="note")
    tell(f"kit       {out}")
    tell(
        "next      copy it to the device, and there: python -m benchmarks profile kit --out pi.json"
    )
