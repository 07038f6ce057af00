"""Text without labels, for the teacher to label."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.examples import Examples
from compress.data.columns import column_in
from compress.data.reading import read_file
from compress.data.splitting import Splits, keys
from compress.data.table import is_missing
from compress.errors import DataError

__all__ = ["load_unlabelled"]


def load_unlabelled(
    path: Path, splits: Splits, *, text_column: str | None = None, pair_column: str | None = None
) -> Examples:
    """Read more text of the task's kind.

    Texts that are in a labelled split are left out, whatever their case and spacing, those of the
    selection and report splits above all: what decides and what is reported stays unseen. Empty
    ones and repetitions are, too.

    Args:
        path: A .txt file with a text a line (single-sentence tasks), or a table as for `--data`.
        splits: Of the labelled data.
        text_column: Column of the text in a table; by default `text`.
        pair_column: Column of the second sentence; by default `text_pair`. Sentence pairs only.

    Returns:
        Examples whose labels (all 0) mean nothing.

    Raises:
        DataError: It cannot be read, has no such column, or no text is left.
    """
    pairs = splits.train.pairs is not None
    if not path.is_file():
        raise DataError(f"--unlabelled {path}: there is no such file")
    if path.suffix.lower() == ".txt":
        if pairs:
            raise DataError(
                f"{path}: a text file has no second sentences, and the data has",
                hint="give a table (csv, tsv, jsonl, parquet) with both columns",
            )
        rows: list[tuple[str, ...]] = [(line.strip(),) for line in _lines(path)]
    else:
        table = read_file(path)
        names = [column_in(table, text_column or "text", "--text-column")]
        if pairs:
            names.append(column_in(table, pair_column or "text_pair", "--pair-column"))
        columns = [table.columns[name] for name in names]
        rows = [
            tuple(str(cell) for cell in row)
            for row in zip(*columns, strict=True)
            if not any(is_missing(cell) for cell in row)
        ]
    texts, *second = zip(*rows, strict=True) if rows else ((),)
    found = Examples(
        texts=tuple(texts),
        labels=np.zeros(len(rows), dtype=np.int64),
        label_names=splits.train.label_names,
        pairs=tuple(second[0]) if second else None,
    )
    seen = {
        key
        for part in (splits.train, splits.selection, splits.report)
        for key in keys(replace(part, questions=None))  # a prompt and a choice are a text
    }
    fresh = []
    for place, key in enumerate(keys(found)):
        if all(key) and key not in seen:
            seen.add(key)
            fresh.append(place)
    if not fresh:
        raise DataError(f"{path}: there is no text in it that the labelled data does not have")
    return found.take(fresh)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start})") from error
