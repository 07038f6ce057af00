"""Labelled texts as a device reads them, with no data library."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.profiling.texts import read_examples
from runtimes.artifact import Manifest, ModelEntry
from runtimes.errors import DataError


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "task": "text-classification",
        "labels": ("negative", "Positive"),
        "problem_type": "single_label_classification",
        "max_length": 16,
        "pad_token_id": 0,
        "type_ids": False,
        "models": (ModelEntry("onnxruntime", "onnx", "model.onnx", "fp32"),),
    }
    return Manifest(**{**values, **changes})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"good, and\nlong",positive\nbad,NEGATIVE\n'),
        ("a.csv", '\ufefflabel,sentence\n1,"good, and\nlong"\n0,bad\n'),
        ("a.tsv", 'text\tlabel\n"good, and\nlong"\tpositive\nbad\tnegative\n'),
        (
            "a.jsonl",
            '{"text": "good, and\\nlong", "label": 1}\n\n{"text": "bad", "label": "negative"}\n',
        ),
    ],
)
def test_tables(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    found = read_examples(path, manifest())
    assert found.texts == ("good, and\nlong", "bad")
    assert found.labels.tolist() == [1, 0]
    assert found.label_names == ("negative", "Positive")


def test_pairs_scores_and_named_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("one,two,how\na,b,0.5\nc,d,2\n")
    named = {"text": "one", "pair": "two", "label": "how"}
    found = read_examples(path, manifest(problem_type="regression", pairs=True), **named)
    assert found.inputs() == [("a", "b"), ("c", "d")]
    assert found.labels.tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        (None, {}, "no such file"),
        ("", {}, "no rows"),
        ("text,label\n", {}, "no rows"),
        ("words,label\na,positive\n", {}, "no column is called 'text'"),
        ("text,label\na,great\n", {}, "row 1: the model has no label 'great'"),
        ("text,label\na\n", {}, "row 1: there is no label"),
        ("text,label\na,positive\n", {"pairs": True}, "no column is called 'text_pair'"),
        ("text,label\na,much\n", {"problem_type": "regression"}, "a score is no number"),
        ("text,label\na,x\n", {"task": "token-classification"}, "are not read on a device"),
        ("\udcff", {}, "cannot be read"),
    ],
)
def test_what_is_none_is_named(
    tmp_path: Path, content: str | None, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(DataError, match=said):
        read_examples(path, manifest(**changes))
