"""An object in memory gives what a file with the same rows gives, and says what it is in errors."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.data import Splits, load_splits, load_unlabelled
from compress.data.columns import NamedColumns
from compress.errors import DataError

ROWS = [{"id": i, "Sentence": f"text {i % 50}", "label": "abc"[i % 3]} for i in range(60)]
ANSWERS = {"text": ["Ada"], "answer_start": [0]}


def lists(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def frame(rows: list[dict[str, Any]]) -> Any:
    import pandas

    return pandas.DataFrame(rows, index=range(7, 7 + len(rows)))


def dataset(rows: list[dict[str, Any]]) -> Any:
    import datasets

    return datasets.Dataset.from_list(rows)


def arrays(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.array(values) for name, values in lists(rows).items()}


def columns_of_a_dataset(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: dataset(rows)[name] for name in rows[0]}


HOLDERS: list[Callable[[list[dict[str, Any]]], Any]] = [
    frame, dataset, lists, list, arrays, columns_of_a_dataset,
]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def assert_same(own: Splits, other: Splits) -> None:
    assert own.fingerprint == other.fingerprint
    assert own.notes == other.notes
    for part, like in ((own.train, other.train), (own.selection, other.selection)):
        assert (part.texts, part.pairs, part.label_names) == (
            like.texts,
            like.pairs,
            like.label_names,
        )
        assert part.labels.tolist() == like.labels.tolist()


@pytest.mark.parametrize("hold", HOLDERS)
@pytest.mark.parametrize("names", [None, ["C", "b", "a"]])
def test_rows_in_memory_give_the_splits_of_a_file(
    tmp_path: Path, hold: Callable[[Any], Any], names: list[str] | None
) -> None:
    path = write(tmp_path / "data.csv", ROWS)
    assert_same(load_splits(hold(ROWS), label_names=names), load_splits(path, label_names=names))


@pytest.mark.parametrize("hold", HOLDERS)
@pytest.mark.parametrize(
    "label", [lambda i: i % 3, lambda i: i / 4, lambda i: i % 2 == 0, lambda i: [i % 3, 3]]
)
def test_labels_of_every_kind(
    tmp_path: Path, hold: Callable[[Any], Any], label: Callable[[int], Any]
) -> None:
    rows = [{"text": f"text {i}", "label": label(i)} for i in range(60)]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows))
    assert_same(load_splits(hold(rows), label_names=None), load_splits(path, label_names=None))


@pytest.mark.parametrize("hold", HOLDERS)
def test_splits_by_name(tmp_path: Path, hold: Callable[[Any], Any]) -> None:
    parts = {"train": ROWS[:40], "dev": ROWS[30:50], "test": ROWS[50:]}
    for name, rows in parts.items():
        write(tmp_path / f"{name}.csv", rows)
    held = {name: hold(rows) for name, rows in parts.items()}
    held["extra"] = hold(ROWS)
    assert_same(load_splits(held, label_names=None), load_splits(tmp_path, label_names=None))


def test_a_dataset_dict(tmp_path: Path) -> None:
    import datasets

    parts = {"train": ROWS[:40], "validation": ROWS[40:]}
    for name, rows in parts.items():
        write(tmp_path / f"{name}.csv", rows)
    held = datasets.DatasetDict({name: dataset(rows) for name, rows in parts.items()})
    assert_same(load_splits(held, label_names=None), load_splits(tmp_path, label_names=None))


@pytest.mark.parametrize("hold", HOLDERS[:4])
@pytest.mark.parametrize("how", ["drop", "fill"])
def test_empty_cells(tmp_path: Path, hold: Callable[[Any], Any], how: Any) -> None:
    rows = [*ROWS, {"id": 60, "Sentence": None, "label": "a"}, {"id": 61, "Sentence": "x", "label": None}]  # fmt: skip  # noqa: E501
    path = write(tmp_path / "data.csv", rows)
    own = load_splits(hold(rows), label_names=None, missing=how)
    assert_same(own, load_splits(path, label_names=None, missing=how))
    kind = type(hold(rows)).__name__
    with pytest.raises(DataError, match=f"^the {kind}: column 'Sentence' is empty in 1 of 62"):
        load_splits(hold(rows), label_names=None)


@pytest.mark.parametrize("dtype", ["string", "category", "Int64", "boolean"])
def test_types_of_pandas(tmp_path: Path, dtype: str) -> None:
    values: list[Any] = {
        "string": ["a", "b", None],
        "category": ["b", "a", None],
        "Int64": [1, 0, None],
        "boolean": [True, False, None],
    }[dtype]
    rows = [{"text": f"text {i}", "label": values[i % 3]} for i in range(60)]
    path = write(tmp_path / "data.csv", rows)
    held = frame(rows).astype({"label": dtype})
    own = load_splits(held, label_names=None, missing="drop")
    assert_same(own, load_splits(path, label_names=None, missing="drop"))


def test_class_labels_and_formats_of_a_dataset() -> None:
    import datasets

    label = datasets.ClassLabel(names=["pos", "neg"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(40)]
    held = datasets.Dataset.from_list(rows, features=features)
    splits = load_splits(held, label_names=None)
    assert splits.train.label_names == ("pos", "neg")
    assert_same(load_splits(held.with_format("numpy"), label_names=None), splits)
    train = load_splits(held, label_names=["neg", "pos"]).train
    assert [
        (int(text.split()[1]) + label) % 2
        for text, label in zip(train.texts, train.labels, strict=True)
    ] == [1] * 32


@pytest.mark.parametrize("hold", HOLDERS[:4])
def test_lists_of_words_and_tags(tmp_path: Path, hold: Callable[[Any], Any]) -> None:
    rows = [
        {"tokens": ["to", f"city {i}"], "tags": ["O", "B-city"]} if i % 2 else
        {"tokens": [f"from {i}"], "tags": ["O"]}
        for i in range(60)
    ]  # fmt: skip
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows))
    task = "token-classification"
    own = load_splits(hold(rows), label_names=None, task=task)
    assert_same(own, load_splits(path, label_names=None, task=task))


def test_tags_that_are_class_labels() -> None:
    import datasets

    tags = datasets.List(datasets.ClassLabel(names=["O", "B-x"]))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "tags": tags})
    rows = [{"tokens": ["a", f"b{i}"], "tags": [0, 1]} for i in range(40)]
    held = datasets.Dataset.from_list(rows, features=features)
    splits = load_splits(held, label_names=["B-x", "O"], task="token-classification")
    assert splits.train.labels.tolist()[:4] == [1, 0, 1, 0]


@pytest.mark.parametrize("hold", HOLDERS[:4])
@pytest.mark.parametrize("answers", [ANSWERS, [{"text": "Ada", "answer_start": 0}]])
def test_questions(tmp_path: Path, hold: Callable[[Any], Any], answers: Any) -> None:
    rows = [
        {"question": f"Who {number}?", "context": "Ada or Eve", "answers": answers}
        for number in range(40)
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows))
    task = "question-answering"
    own = load_splits(hold(rows), label_names=None, task=task)
    assert_same(own, load_splits(path, label_names=None, task=task))
    # A DataFrame that was read from Parquet has arrays in its cells.
    held = frame([{**row, "answers": {k: np.array(v) for k, v in ANSWERS.items()}} for row in rows])
    assert_same(load_splits(held, label_names=None, task=task), own)


def test_squads_own_format() -> None:
    qas = [
        {"id": str(i), "question": f"Who {i}?", "answers": [{"text": "Ada", "answer_start": 0}]}
        for i in range(40)
    ]
    held = {"version": "1.1", "data": [{"paragraphs": [{"context": "Ada or Eve", "qas": qas}]}]}
    splits = load_splits(held, label_names=None, task="question-answering")
    assert len(splits.train) == 32
    with pytest.raises(DataError, match=r"^the dict: article 1: 'paragraphs' is no list"):
        load_splits({"data": [{"paragraphs": 1}]}, label_names=None, task="question-answering")


@pytest.mark.parametrize("kind", ["image", "list of images"])
def test_images_beside_the_text_are_not_decoded(kind: str) -> None:
    import datasets

    image: Any = datasets.Image()
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.Value("int64"),
            "picture": image if kind == "image" else datasets.List(image),
        }
    )
    cell = {"bytes": b"no image", "path": None}
    rows = [
        {"text": f"text {i}", "label": i % 2, "picture": cell if kind == "image" else [cell]}
        for i in range(40)
    ]
    held = datasets.Dataset.from_list(rows, features=features)
    assert len(load_splits(held, label_names=None).train) == 32


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "the NoneType: data cannot be an object of the type NoneType"),
        (3, "the int: data cannot be an object of the type int"),
        ({"train": 3}, r"the dict \(train\): data cannot be"),
        ({"train": [{"text": "a"}], "test": None}, r"the dict \(test\): data cannot be"),
        ({"text": ["a", "b"], "label": [0]}, r"differ in length: text \(2\), label \(1\)"),
        ({"text": "a", "label": [0]}, "the dict: column 'text' is no list, but a str"),
        ({"text": ["a"], "label": 0}, "the dict: column 'label' is no list, but a int"),
        ({"text": [], "label": []}, "the dict: there are no data rows"),
        ({}, "the dict: there are no data rows"),
        ([], "the list: there are no data rows"),
        (["a", "b"], "the list: record 1 is not an object"),
        (
            {"one": {"text": ["a"]}, "two": {"text": ["b"]}},
            "the dict: none of its splits.*one, two",
        ),
        ({"words": ["a"], "label": [0], "more": [1]}, "the dict: no text column found"),
        ({"text": ["a", "b"], "label": ["x", "y"]}, "the dict: 2 examples are too few"),
    ],
)
def test_what_is_no_data_is_refused(data: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        load_splits(data, label_names=None)
    assert caught.value.hint


def test_a_dataset_that_streams_is_refused() -> None:
    import datasets

    held = datasets.IterableDataset.from_generator(lambda: iter(ROWS))
    with pytest.raises(DataError, match=r"^the IterableDataset: .* datasets.*IterableDataset"):
        load_splits(held, label_names=None)


@pytest.mark.parametrize("hold", HOLDERS)
def test_unlabelled_text(tmp_path: Path, hold: Callable[[Any], Any]) -> None:
    splits = load_splits(lists(ROWS), label_names=None)
    rows = [{"text": text} for text in ("new", " ", "text 1", "New", "other")]
    path = write(tmp_path / "more.csv", rows)
    found = load_unlabelled(hold(rows), splits)
    assert found.texts == load_unlabelled(path, splits).texts == ("new", "other")
    parts = {"unsupervised": hold(rows[:2]), "test": hold(rows[2:])}
    assert load_unlabelled(parts, splits).texts == ("new", "other")
    kind = type(hold(rows)).__name__
    with pytest.raises(DataError, match=f"^the {kind}: there is no column 'body'"):
        load_unlabelled(hold(rows), splits, columns=NamedColumns("body"))


def test_unlabelled_lines() -> None:
    splits = load_splits(lists(ROWS), label_names=None)
    assert load_unlabelled([" new", "text 1", ""], splits).texts == ("new",)
    with pytest.raises(DataError, match=r"^the list: there is no text"):
        load_unlabelled(["text 1"], splits)


def test_libraries_are_not_loaded_for_lists() -> None:
    program = (
        "import sys; from compress.data import load_splits;"
        "load_splits({'text': [f't{i}' for i in range(40)], 'label': [0, 1] * 20},"
        " label_names=None);"
        "sys.exit(str({'pandas', 'datasets', 'torch'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert (done.returncode, done.stderr.strip()) in {(0, ""), (1, "")}
