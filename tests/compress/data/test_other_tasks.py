"""Data of another task than the model's are recognized, and said to be."""

import json
from pathlib import Path
from typing import Any

import pytest

from compress.data.columns import NamedColumns
from compress.data.loading import load_splits, reader_of
from compress.errors import DataError, OtherTaskError

COUNT = 12
TEXTS = [{"text": f"a film {n}", "label": ("good", "bad")[n % 2]} for n in range(COUNT)]
TAGS = [{"tokens": ["to", f"Rome{n}"], "tags": ["O", "B-city"]} for n in range(COUNT)]
SPANS = [
    {"question": "who?", "context": f"Ada {n}", "answers": {"text": ["Ada"], "answer_start": [0]}}
    for n in range(COUNT)
]
SQUAD = [{"title": "x", "paragraphs": [{"context": "Ada", "qas": []}]}]
CHOICES = [
    {"prompt": f"he ran {n}", "choices": ["away", "blue"], "label": n % 2} for n in range(COUNT)
]
ENDINGS = [
    {"sent1": f"he {n}", "ending0": "ran", "ending1": "red", "label": n % 2} for n in range(COUNT)
]
PAIRS = [{"text": f"a {n}", "text_pair": "b", "score": n / COUNT} for n in range(COUNT)]


def of_model(task: str, rows: list[dict[str, Any]], **options: Any) -> Any:
    return load_splits(rows, label_names=None, task=task, **options)


@pytest.mark.parametrize(
    ("task", "model", "rows", "looks_like"),
    [
        ("text-classification", "a text classifier", TAGS, "token-classification"),
        ("text-classification", "a text classifier", SPANS, "question-answering"),
        ("text-classification", "a text classifier", SQUAD, "question-answering"),
        ("text-classification", "a text classifier", CHOICES, "multiple-choice"),
        ("text-classification", "a text classifier", ENDINGS, "multiple-choice"),
        ("token-classification", "a tagger of words", TEXTS, "text-classification"),
        ("token-classification", "a tagger of words", SPANS, "question-answering"),
        ("question-answering", "a question-answering model", TEXTS, "text-classification"),
        ("question-answering", "a question-answering model", TAGS, "token-classification"),
        ("multiple-choice", "a multiple-choice model", TEXTS, "text-classification"),
        ("sentence-embedding", "a sentence-embedding model", TEXTS, "text-classification"),
        ("token-classification", "a tagger of words", PAIRS, "sentence-embedding"),
        ("question-answering", "a question-answering model", CHOICES, "multiple-choice"),
    ],
)
def test_the_task_is_told_by_the_columns(
    task: str, model: str, rows: list[dict[str, Any]], looks_like: str
) -> None:
    with pytest.raises(OtherTaskError) as caught:
        of_model(task, rows)
    assert caught.value.message == (
        f"the list: this looks like {looks_like} data; the model is {model}"
    )
    assert caught.value.task == looks_like
    assert f"rows such as {reader_of(task).ROW}" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("task", "rows"),
    [("text-classification", TEXTS), ("text-classification", PAIRS), ("token-classification", TAGS),
     ("multiple-choice", CHOICES), ("multiple-choice", ENDINGS)],
)  # fmt: skip
def test_data_of_the_task_itself_are_not_asked(task: str, rows: list[dict[str, Any]]) -> None:
    assert of_model(task, [*rows, *json.loads(json.dumps(rows).replace(" ", "  "))])


def test_who_names_a_column_knows_what_it_is() -> None:
    with pytest.raises(DataError, match="no column 'mood'") as caught:
        of_model("text-classification", TAGS, columns=NamedColumns(label="mood"))
    assert not isinstance(caught.value, OtherTaskError)
    with pytest.raises(DataError, match="no label column found") as caught:
        of_model("text-classification", [{"a": "x", "b": "y"}] * COUNT)
    assert not isinstance(caught.value, OtherTaskError)


@pytest.mark.parametrize(
    "task", ["text-classification", "token-classification", "question-answering",
             "multiple-choice", "sentence-embedding"],
)  # fmt: skip
def test_the_row_that_is_shown_is_of_its_task(task: str, tmp_path: Path) -> None:
    """It reads, and the task is told by it."""
    row = json.loads(reader_of(task).ROW)
    other = {**row, "label": "negative"} if task == "text-classification" else row
    examples, _ = reader_of(task).read(_tables(row, other), NamedColumns(), None)
    assert len(examples["train"]) > 0
    assert reader_of(task).recognized(_tables(row)["train"])


def _tables(*rows: dict[str, Any]) -> Any:
    from compress.data.table import table_of_records

    return {"train": table_of_records(rows, "rows")}
