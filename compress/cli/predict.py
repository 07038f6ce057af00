"""`compress predict`: answers of an artifact, a line each."""

import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.output import Json
from compress.errors import DataError, UsageError

__all__ = ["predict"]


def predict(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without any, stdin.")] = None,
    runtime: Annotated[str | None, typer.Option(help="onnxruntime or openvino.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, gpu or npu.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Label texts with an artifact: label, score and text between tabs, or a line an entity."""
    from runtimes import load
    from runtimes.artifact import read_manifest

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as what is read, whatever the locale says
    given = texts or _lines()
    if not given:
        raise UsageError("there is no text", hint=f'try: compress predict {artifact} "some text"')
    with load(artifact, runtime=runtime, device=device) as classify:
        task, pairs = classify.task, read_manifest(artifact).pairs
        # To a model of single texts a tab is a space.
        inputs = [task.from_line(line if pairs else line.replace("\t", " ")) for line in given]
        if pairs and (alone := next((i for i in inputs if isinstance(i, str)), None)) is not None:
            raise UsageError(
                f"{alone!r:.60} is one text, and the model was made for pairs of them",
                hint="put a tab between the two texts of a line",
            )
        for text, result in zip(given, classify(inputs, **task.SPEC.shown), strict=True):
            if as_json:
                lines = [json.dumps(task.record(text, result), ensure_ascii=False)]
            else:
                lines = task.lines(text, result)
            sys.stdout.writelines(f"{line}\n" for line in lines)


def _lines() -> list[str]:
    """Read the lines of stdin that are not blank.

    Raises:
        DataError: They are not UTF-8.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")  # whatever the locale says
    try:
        return [line.rstrip("\n") for line in sys.stdin if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8: {error.reason}") from error
