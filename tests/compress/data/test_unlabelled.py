"""Text without labels: what is read, what is left out, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.data import Splits, load_splits, load_unlabelled, split_unlabelled
from compress.data.columns import NamedColumns
from compress.errors import DataError, NoLabelsError


def examples(*texts: str, pairs: tuple[str, ...] | None = None) -> Examples:
    return Examples(texts, ClassLabels(np.zeros(len(texts), dtype=np.int64)), ("no", "yes"), pairs)


SPLITS = Splits(examples("a train text"), examples("chosen with"), examples("reported on"), (), "")
PAIRS = Splits(
    examples("a", pairs=("b",)), examples("c", pairs=("d",)), examples("e", pairs=("f",)), (), ""
)


def test_lines_of_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("one\n\n  two \nOne\nReported  on\nchosen with\na train text\n三\n", "utf-8")
    assert load_unlabelled(file, SPLITS).texts == ("one", "two", "三")


def test_characters_inside_a_text_end_no_line(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    texts = tuple(f"{i}{end}two" for i, end in enumerate("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
    file.write_bytes("\r\n".join(texts).encode())
    assert load_unlabelled(file, SPLITS).texts == texts


def test_a_column_of_a_table(tmp_path: Path) -> None:
    file = tmp_path / "more.csv"
    file.write_text("id,Text,body\n1,one,uno\n2,,dos\n3,two,tres\n", "utf-8")
    assert load_unlabelled(file, SPLITS).texts == ("one", "two")
    assert load_unlabelled(file, SPLITS, columns=NamedColumns("body")).texts == (
        "uno",
        "dos",
        "tres",
    )
    with pytest.raises(DataError, match="no column 'bodi'"):
        load_unlabelled(file, SPLITS, columns=NamedColumns("bodi"))


def test_pairs(tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "x", "text_pair": "y"}\n{"text": "e", "text_pair": "f"}\n', "utf-8")
    more = load_unlabelled(file, PAIRS)
    assert (more.texts, more.pairs) == (("x",), ("y",))
    lines = tmp_path / "more.txt"
    lines.write_text("x\n", "utf-8")
    with pytest.raises(DataError, match="no second sentences"):
        load_unlabelled(lines, PAIRS)


def test_nothing_new_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("reported on\n\n", "utf-8")
    with pytest.raises(DataError, match="labelled data does not have"):
        load_unlabelled(file, SPLITS)
    with pytest.raises(DataError, match="no such file"):
        load_unlabelled(tmp_path / "none.txt", SPLITS)
    file.write_bytes(b"\xffbad")
    with pytest.raises(DataError, match="UTF-8"):
        load_unlabelled(file, SPLITS)


def cut(data: Any, task: str = "text-classification", **options: Any) -> Splits:
    return split_unlabelled(data, label_names=("no", "yes"), task=task, **options)


LINES = [f"text number {number}" for number in range(100)]


def test_all_texts_are_cut_at_random_and_none_is_in_two_parts(tmp_path: Path) -> None:
    file = tmp_path / "all.txt"
    file.write_text("\n".join([*LINES, "", "  ", "TEXT  number 7", *LINES[:3]]), "utf-8")
    splits = cut(file)
    parts = (splits.train, splits.selection, splits.report)
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(text for part in parts for text in part.texts) == sorted(LINES)
    assert all(part.targets.missing().all() and not part.labelled for part in parts)
    assert any("6 of 106 rows are empty or repeat others" in note for note in splits.notes)
    assert any("100 different texts: cut at random" in note for note in splits.notes)
    assert "No text has a label" in splits.notes[0]
    assert cut(file).fingerprint == splits.fingerprint != cut(file, seed=1).fingerprint
    assert cut(LINES).fingerprint == splits.fingerprint  # whatever holds them


def test_of_many_texts_some_thousands_are_held_out() -> None:
    splits = cut([f"text {number}" for number in range(30_000)])
    assert [len(part) for part in (splits.selection, splits.report)] == [2000, 2000]


def test_labels_of_a_table_are_not_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    file.write_text("label,text\n" + "".join(f"odd,{line}\n" for line in LINES), "utf-8")
    assert cut(file).fingerprint == cut(LINES).fingerprint
    pairs = [{"premise": line, "hypothesis": "so"} for line in LINES]
    assert cut(pairs).report.pairs == ("so",) * 10
    splits = {"any": {"body": LINES[:50], "id": [0] * 50}, "other": {"body": LINES[50:]}}
    assert len(cut(splits, columns=NamedColumns("body")).train) == 80


def test_too_few_texts_are_refused_with_their_number() -> None:
    with pytest.raises(DataError, match=r"15 different texts are too few.*at least 20"):
        cut(LINES[:15] * 4)


@pytest.mark.parametrize(
    ("problem", "shape"),
    [("regression", (10,)), ("multi_label_classification", (10, 2)), (None, (10,))],
)
def test_every_kind_of_label_can_be_missing(problem: str | None, shape: tuple[int, ...]) -> None:
    report = cut(LINES, problem_type=problem).report
    assert report.labels.shape == shape
    assert report.targets.missing().all()


def test_every_task_reads_its_texts(tmp_path: Path) -> None:
    words = cut(LINES, "token-classification").report
    assert words.labels.tolist() == [-1] * 30
    listed = [{"tokens": line.split()} for line in [*LINES, ""]]
    assert cut(listed, "token-classification").report.texts == words.texts

    asked = [{"question": line, "context": "it is so", "id": 1} for line in LINES]
    questions = cut([*asked, {"question": "who?", "context": None}], "question-answering").report
    assert questions.pairs == ("it is so",) * 10
    squad = [{"context": "it is so", "qas": [{"question": line, "id": 1} for line in LINES]}]
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"data": [{"paragraphs": squad}]}), "utf-8")
    assert cut(file, "question-answering").report.texts == questions.texts
    with pytest.raises(DataError, match="no column question"):
        cut(LINES, "question-answering")

    chosen = [{"prompt": line, "choices": ["so", "or so"]} for line in LINES]
    choices = cut([*chosen, chosen[0]], "multiple-choice").report
    assert len(choices) == 20
    assert choices.targets.missing().all()

    vectors = cut([*LINES, LINES[0]], "sentence-embedding").report
    pairs = zip(vectors.texts[::2], vectors.texts[1::2], strict=True)
    assert len(vectors) == 10
    assert set(pairs) <= set(zip(LINES[::2], LINES[1::2], strict=True))

    masked = split_unlabelled(
        [*LINES, "one [MASK]"],
        label_names=("[MASK]", "text", "number"),
        task="fill-mask",
    )
    assert all("[MASK]" in text for text in masked.report.texts)
    assert set(masked.report.labels.tolist()) == {-1}


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("text-classification", {"text": "so"}),
        ("token-classification", {"tokens": ["so"]}),
        ("question-answering", {"question": "so", "context": "it is so"}),
        ("multiple-choice", {"prompt": "so", "choices": ["a", "b"]}),
    ],
)
def test_data_without_labels_are_named_as_such(task: str, row: dict[str, Any]) -> None:
    with pytest.raises(NoLabelsError, match=r"no .*column"):
        load_splits([row] * 40, label_names=("no", "yes"), task=task)
