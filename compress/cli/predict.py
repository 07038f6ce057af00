"""`compress predict`: answers of an artifact, a line each."""

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.cli.output import Json, tell
from compress.cli.streams import read_lines
from compress.errors import DataError, UsageError
from runtimes.escaping import dump_json, escape_line

if TYPE_CHECKING:
    from runtimes import Predictor

__all__ = ["predict"]


def predict(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without any, stdin.")] = None,
    runtime: Annotated[str | None, typer.Option(help="onnxruntime or openvino.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, gpu or npu.")] = "cpu",
    trusted: Annotated[
        str | None, typer.Option(help="Public key (.pub file) that must have signed the artifact.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Label texts with an artifact: label, score and text between tabs, or a line an entity.

    A blank line of stdin gives a blank line (with --json: null). Control characters are written as
    escapes, such as \\t.
    """
    from runtimes import load
    from runtimes.artifact import read_manifest

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as what is read, whatever the locale says
    given = [_typed(text) for text in texts] if texts else _lines()
    if not any(map(str.strip, given)):
        raise UsageError("there is no text", hint=f'try: compress predict {artifact} "some text"')
    with load(artifact, runtime=runtime, device=device, trusted=trusted) as classify:
        pairs = read_manifest(artifact).pairs
        for text, result in _answers(classify, given, pairs=pairs):
            if as_json:
                answer = None if result is None else classify.task.record(text, result)
                lines = [dump_json(answer)]
            elif result is None:
                lines = [""]
            else:
                found = classify.task.lines(_asked(text, pairs=pairs), result)
                lines = ["\t".join(map(escape_line, columns)) for columns in found]
            sys.stdout.writelines(f"{line}\n" for line in lines)


def _answers(classify: "Predictor", given: list[str], *, pairs: bool) -> list[tuple[str, Any]]:
    """Return each text with its answer; None where it is blank.

    Raises:
        UsageError: A text is no pair, and the model was made for these.
    """
    lines = [_asked(text, pairs=pairs) for text in given if text.strip()]
    inputs = [classify.task.from_line(line) for line in lines]
    if pairs and (alone := next((i for i in inputs if isinstance(i, str)), None)) is not None:
        raise UsageError(
            f"{alone!r:.60} is one text, and the model was made for pairs of them",
            hint="put a tab between the two texts of a line",
        )
    task = classify.task
    parsed = task.parse(inputs)
    outputs = classify.outputs(parsed.inputs, note_cut=True)
    if cut := sum(outputs.cut):
        most = classify.tokenizer.max_length
        tell(f"{cut} of {len(inputs)} texts were cut to {most} tokens", kind="note")
    results = task.postprocess(outputs, classify.labels, classify.problem_type, **task.SPEC.shown)
    answers = iter(parsed.shaped(results))
    return [(text, next(answers) if text.strip() else None) for text in given]


def _asked(text: str, *, pairs: bool) -> str:
    """Return a line as the model is asked it: to a model of single texts a tab is a space."""
    return text if pairs else text.replace("\t", " ")


def _typed(text: str) -> str:
    """Return an argument as it was typed: in UTF-8, whatever the locale says.

    Raises:
        DataError: It is not UTF-8, nor text of the locale.
    """
    with suppress(UnicodeError):
        return os.fsencode(text).decode("utf-8")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{text!r:.60} is not UTF-8") from None
    return text


def _lines() -> list[str]:
    """Read the lines of stdin.

    Raises:
        DataError: They are not UTF-8.
    """
    try:
        return read_lines()
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8: {error.reason}") from error
