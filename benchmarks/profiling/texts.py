"""Reads labelled texts on a device, where no data library is installed: CSV, TSV and JSON lines."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, Labels, Scores
from runtimes.errors import DataError
from runtimes.files import read_file
from runtimes.manifest import Manifest
from runtimes.registry import get_task
from runtimes.tasks import DEFAULT_TASK

__all__ = ["read_examples"]

_MOST_BYTES = 1 << 28
_TEXTS = ("text", "sentence", "sentence1", "utterance", "content", "review", "question", "premise")
_PAIRS = ("text_pair", "sentence2", "hypothesis", "question2", "passage", "context", "text2")
_LABELS = ("label", "labels", "intent", "class", "category", "sentiment", "score")


def read_examples(
    path: Path,
    manifest: Manifest,
    *,
    text: str | None = None,
    pair: str | None = None,
    label: str | None = None,
) -> Examples:
    """Return the examples in a file, labelled with the names of an artifact's classes.

    Args:
        path: `.csv`, `.tsv`, or `.jsonl` with an object a line.
        manifest: Of the artifact.
        text: Column of the text; None: found by its name.
        pair: Column of the second text, likewise.
        label: Column of the label, likewise.

    Raises:
        DataError: The file cannot be read, lacks a column, has a label that the artifact lacks, or
            the artifact is for another task than classifying or scoring texts.
    """
    if manifest.task != DEFAULT_TASK or manifest.problem_type == "multi_label_classification":
        kind = get_task(manifest.task).SPEC.model
        raise DataError(
            f"labels for {kind} with {manifest.problem_type.replace('_', ' ')} are not read on a "
            "device: classes and scores of texts are",
            hint="its speed alone: python -m runtimes tune ARTIFACT TEXTS.txt",
        )
    rows = _rows(path)
    names = list(rows[0])
    texts = _column(path, rows, _found(path, names, text, _TEXTS, "--text-column"))
    labels = _column(path, rows, _found(path, names, label, _LABELS, "--label-column"))
    pairs = None
    if manifest.pairs:
        pairs = _column(path, rows, _found(path, names, pair, _PAIRS, "--pair-column"))
    return Examples(
        tuple(texts),
        _targets(path, labels, manifest),
        tuple(manifest.labels),
        None if pairs is None else tuple(pairs),
        manifest.task,
    )


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = read_file(path, _MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    rows: list[Any]
    try:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in content.splitlines() if line.strip()]
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator)
            rows = list(reader)
    except (ValueError, csv.Error, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error!s:.200}") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f"{path} has no rows", hint="it takes .csv or .tsv with a header, or .jsonl"
        )
    return rows


def _found(
    path: Path, names: Sequence[Any], named: str | None, known: Sequence[str], option: str
) -> str:
    wanted = known if named is None else (named,)
    for name in wanted:
        if name in names:
            return name
    there = ", ".join(map(str, names))
    raise DataError(
        f"{path}: no column is called {wanted[0]!r}; it has {there}", hint=f"try: {option}"
    )


def _column(path: Path, rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    values = []
    for number, row in enumerate(rows, 1):
        value = row.get(name)
        if not isinstance(value, str | int | float) or value == "":
            raise DataError(f"{path}, row {number}: there is no {name}")
        values.append(str(value))
    return values


def _targets(path: Path, values: Sequence[str], manifest: Manifest) -> Labels:
    if manifest.problem_type == "regression":
        try:
            return Scores(np.asarray([float(value) for value in values]))
        except ValueError as error:
            raise DataError(f"{path}: a score is no number: {error}") from error
    index = {name.casefold(): place for place, name in enumerate(manifest.labels)}
    index |= {str(place): place for place in range(len(manifest.labels)) if str(place) not in index}
    for number, value in enumerate(values, 1):
        if value.strip().casefold() not in index:
            known = ", ".join(manifest.labels[:8])
            raise DataError(f"{path}, row {number}: the model has no label {value!r:.60} ({known})")
    return ClassLabels(np.asarray([index[value.strip().casefold()] for value in values]))
