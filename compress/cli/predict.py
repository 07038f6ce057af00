"""`edgepress predict`: answers of an artifact, a line each."""

import csv
import io
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.cli.output import (
    Device,
    Json,
    PairColumn,
    Revision,
    RuntimeName,
    TextColumn,
    Threads,
    Trusted,
    tell,
)
from compress.cli.process.streams import read_lines
from compress.errors import DataError, UsageError
from runtimes.errors import nearest
from runtimes.escaping import dump_json, escape_cell, escape_line

if TYPE_CHECKING:
    from compress.data.columns import NamedColumns
    from runtimes import Predictor
    from runtimes.tasks.base import Task

__all__ = ["predict"]

_FORMATS = ("tsv", "jsonl", "csv")
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
# Cells that are ours: a score, a place, a vector. No spreadsheet takes them for formulas.
_NUMBERS = re.compile(r"\d+|-?\d+\.\d+( -?\d+\.\d+)*")


def predict(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="Artifact folder, or its id on the hub.")
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without any, stdin.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Texts: a table (csv, tsv, jsonl, parquet), or lines."),
    ] = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="So many answers, best first.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="[tsv|jsonl|csv]", help="By default tsv.")
    ] = None,
    as_json: Json = False,
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Texts at once; above 1 answers may differ a little."
        ),
    ] = 1,
    runtime: RuntimeName = None,
    device: Device = "cpu",
    threads: Threads = None,
    trusted: Trusted = None,
    revision: Revision = None,
) -> None:
    """Label texts with an artifact: label, score and text between tabs, or a line an entity.

    A line of stdin is answered as it comes; a blank one gives a blank line (with --json: null).
    Control characters are written as escapes, such as \\t. CSV has a header, numbers the texts in
    its first column, and leaves blank ones out.
    """
    from compress.data.columns import NamedColumns
    from runtimes import load
    from runtimes.artifact import read_manifest
    from runtimes.hub import artifact_folder

    form = _format(form, as_json=as_json)
    if texts and file:
        raise UsageError("there are texts and --file", hint="give one of the two")
    if (text_column or pair_column) and not file:
        raise UsageError("--text-column and --pair-column name columns of --file, which is missing")
    if named := next(filter(_is_file, texts or ()), None):
        raise UsageError(
            f"{named} is a file, not a text",
            hint="for the texts in it: "
            + shlex.join(["edgepress", "predict", artifact, "--file", named]),
        )
    folder = artifact_folder(artifact, revision=revision, runtime=runtime)
    with load(
        folder,
        runtime=runtime,
        device=device,
        threads=threads,
        batch_invariant=batch_size == 1,
        trusted=trusted,
    ) as classify:
        task, pairs = classify.task, read_manifest(folder).pairs
        options, several = _options(task, top_k)
        writer = _Writer(task, form, pairs=pairs, several=several)
        columns = NamedColumns(text_column, pair_column)
        if file is not None and file.suffix.lower() in _TABLES:
            asked = _of_table(file, task, columns, pairs=pairs)
        else:
            lines = _of_file(file) if file else [*map(_typed, texts)] if texts else _lines()
            asked = (_of_line(line, task, pairs=pairs) for line in lines)
        answered = 0
        for number, (one, result) in enumerate(_answers(classify, asked, batch_size, options), 1):
            sys.stdout.write(writer.written(number, one.text, result))
            sys.stdout.flush()  # whoever reads a pipe may wait for it
            answered += result is not None
    if not answered:
        typed = shlex.join(["edgepress", "predict", artifact, "some text"])
        raise UsageError("there is no text", hint=f"try: {typed}")


@dataclass(frozen=True)
class _Asked:
    """What the model is asked; None where there is nothing, and as a line of text."""

    value: Any
    text: str


def _answers(
    classify: "Predictor", asked: Iterable[_Asked], batch_size: int, options: dict[str, Any]
) -> Iterator[tuple[_Asked, Any]]:
    """Go through what is asked with its answers; None where there is nothing to answer."""
    task, left, cut, texts = classify.task, iter(asked), 0, 0
    while chunk := list(islice(left, batch_size)):
        results: Iterator[Any] = iter(())
        if inputs := [one.value for one in chunk if one.value is not None]:
            parsed = task.parse(inputs)
            outputs = classify.outputs(parsed.inputs, batch_size, note_cut=True)
            answers = task.postprocess(outputs, classify.labels, classify.problem_type, **options)
            results = iter(parsed.shaped(answers))
            texts += len(outputs.cut)
            cut += sum(outputs.cut)
        for one in chunk:
            yield one, None if one.value is None else next(results)
    if cut:
        tell(f"{cut} of {texts} texts were cut to {classify.max_length} tokens", kind="note")


class _Writer:
    """Writes answers in one of the formats.

    Args:
        task: Knows their columns.
        form: Of `_FORMATS`.
        pairs: Whether the model was made for pairs.
        several: Whether an answer is a list of answers, best first.
    """

    def __init__(self, task: "Task", form: str, *, pairs: bool, several: bool) -> None:
        self._task = task
        self._form = form
        self._several = several
        columns = [name for name in task.SPEC.columns if pairs or name != "text_pair"]
        self._header = _row(["row", *columns]) if form == "csv" else ""

    def written(self, number: int, text: str, result: Any) -> str:
        """Return what is to be written for the text with a number, from 1 on."""
        header, self._header = self._header, ""
        return header + "".join(self._lines(number, text, result))

    def _lines(self, number: int, text: str, result: Any) -> Iterator[str]:
        results = result if self._several and result is not None else [result]
        if self._form == "jsonl":
            records = [None if one is None else self._task.record(text, one) for one in results]
            yield dump_json(records if self._several and result is not None else records[0]) + "\n"
            return
        for one in results:
            if one is None:
                yield "" if self._form == "csv" else "\n"
                continue
            for columns in self._task.lines(text, one):
                if self._form == "tsv":
                    yield "\t".join(map(escape_line, columns)) + "\n"
                elif columns:
                    yield _row([str(number), *columns])


def _row(columns: list[str]) -> str:
    """Return a line of CSV, whose cells no spreadsheet takes for formulas."""
    cells = [cell if _NUMBERS.fullmatch(cell) else escape_cell(cell) for cell in columns]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(cells)
    return file.getvalue()


def _format(form: str | None, *, as_json: bool) -> str:
    """Return the format that was asked for.

    Raises:
        UsageError: There is none such, or another one beside --json.
    """
    form = form.lower() if form else "jsonl" if as_json else "tsv"
    if form not in _FORMATS:
        near = nearest(form, _FORMATS)
        raise UsageError(
            f"--format {form}: there is no such format",
            hint=f"did you mean {near}?" if near else f"there are: {', '.join(_FORMATS)}",
        )
    if as_json and form != "jsonl":
        raise UsageError(f"--json and --format {form}", hint="give one of the two")
    return form


def _options(task: "Task", top_k: int | None) -> tuple[dict[str, Any], bool]:
    """Return options of the task's `postprocess`, and whether an answer is a list then.

    Raises:
        UsageError: The task has one answer only.
    """
    if top_k is None:
        return dict(task.SPEC.shown), False
    known = signature(task.postprocess).parameters.get("top_k")
    if known is None:
        raise UsageError(f"--top-k: models of {task.SPEC.name} give one answer")
    return {**task.SPEC.shown, "top_k": top_k}, top_k > 1 and known.default == 1


def _of_line(line: str, task: "Task", *, pairs: bool) -> _Asked:
    """Return what a line asks; to a model of single texts a tab is a space.

    Raises:
        UsageError: It is no pair, and the model was made for these.
    """
    text = line if pairs else line.replace("\t", " ")
    if not line.strip():
        return _Asked(None, text)
    value = task.from_line(text)
    if pairs and isinstance(value, str):
        raise UsageError(
            f"{value!r:.60} is one text, and the model was made for pairs of them",
            hint="put a tab between the two texts of a line",
        )
    return _Asked(value, text)


def _of_table(
    file: Path, task: "Task", columns: "NamedColumns", *, pairs: bool
) -> Iterator[_Asked]:
    """Go through the rows of a table; one without its text asks nothing.

    Raises:
        DataError: It cannot be read, or has no such columns.
        UsageError: Its columns are not what the task is asked.
    """
    from compress.data.columns import choose_texts
    from compress.data.reading import every_table
    from compress.data.table import is_missing

    if task.SPEC.nested:
        raise UsageError(
            f"{file}: models of {task.SPEC.name} read lines", hint="a tab before each choice"
        )
    _check_there(file)
    for table in every_table(file):
        names = choose_texts(table, columns, pairs=pairs)
        for row in zip(*(table.columns[name] for name in names), strict=True):
            # Words of taggers' data come as lists.
            cells = [
                "" if is_missing(cell) else " ".join(cell) if isinstance(cell, list) else str(cell)
                for cell in row
            ]
            if not all(map(str.strip, cells)):
                yield _Asked(None, "")
                continue
            text = "\t".join(cell.replace("\t", " ") for cell in cells)
            yield _Asked(tuple(cells) if pairs else cells[0], text)


def _of_file(file: Path) -> Iterable[str]:
    """Return the lines of a file.

    Raises:
        DataError: It cannot be read as text.
    """
    from compress.data.formats.decoding import read_lines as lines_of

    _check_there(file)
    lines = lines_of(file)
    return lines if lines[-1] else lines[:-1]  # behind the last line's end there is none


def _check_there(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"--file {file}: there is no such file")


def _is_file(text: str) -> bool:
    with suppress(OSError, ValueError):  # too long for a name, or with a NUL
        return Path(text).is_file()
    return False


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


def _lines() -> Iterator[str]:
    """Go through the lines of stdin.

    Raises:
        DataError: They are not UTF-8.
    """
    try:
        yield from read_lines()
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8: {error.reason}") from error
