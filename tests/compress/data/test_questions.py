"""Questions in SQuAD's files and in tables, and what can be wrong with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.examples import Examples
from benchmarks.labels import Spans
from benchmarks.tasks import get_measure
from benchmarks.tasks.question_answering import f1
from compress.data import load_splits
from compress.errors import DataError

TASK = "question-answering"


def squad(path: Path, count: int = 60, **changes: Any) -> str:
    paragraphs = []
    for number in range(count):
        question = {
            "id": f"q{number}",
            "question": f"Who is {number}?",
            "answers": [{"text": f"Ada {number}", "answer_start": 4}],
        }
        if number == 3:
            question |= changes
        paragraphs.append({"context": f"It: Ada {number}.", "qas": [question]})
    path.write_text(json.dumps({"version": "2.0", "data": [{"paragraphs": paragraphs}]}))
    return str(path)


def test_squads_own_files(tmp_path: Path) -> None:
    splits = load_splits(squad(tmp_path / "data.json"), label_names=None, task=TASK)
    train = splits.train
    assert len(train) + len(splits.selection) + len(splits.report) == 60
    assert train.pairs is not None
    assert isinstance(train.targets, Spans)
    for index, (context, (start, end)) in enumerate(zip(train.pairs, train.labels, strict=True)):
        assert (context[start:end],) == train.targets.answers[index]


def test_tables_of_the_hub(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"Who {number}?",
            "context": "Ada or Ada",
            "answers": {"text": ["Ada", "Ada"], "answer_start": [0, 7]},
        }
        for number in range(40)
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    splits = load_splits(str(path), label_names=None, task=TASK)
    assert isinstance(splits.train.targets, Spans)
    assert splits.train.targets.answers[0] == ("Ada",)
    assert splits.train.labels[0].tolist() == [0, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": [{"text": "Eve", "answer_start": 4}]}, "question q3: the answer 'Eve'"),
        ({"answers": [{"answer_start": 4}]}, "question q3: an answer is"),
        ({"question": ""}, "question q3: 'question' is empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_splits(squad(tmp_path / "data.json", **changes), label_names=None, task=TASK)


def test_questions_without_an_answer(tmp_path: Path) -> None:
    source = squad(tmp_path / "data.json", answers=[], is_impossible=True)
    splits = load_splits(source, label_names=None, task=TASK)
    assert any("no answer" in note for note in splits.notes)


def examples() -> Examples:
    return Examples(
        ("a?", "b?", "c?"),
        Spans(np.array([[0, 8], [4, 7], [0, 0]]), (("The town", "Rome"), ("Ada",), ("",))),
        ("start", "end"),
        pairs=("The town of Rome", "Oh, Ada!", "nothing"),
        task=TASK,
    )


def test_f1_counts_words_in_normal_form() -> None:
    assert f1("The  Town!", "town") == 1
    assert f1("the town of Rome", "Rome") == pytest.approx(0.5)
    assert f1("", "") == 1
    assert f1("Ada", "") == 0
    answers = np.array([[12, 16, 0.9, 0], [0, 7, 0.5, 0.1], [0, 7, 0.2, 0.6]], dtype=np.float32)
    measure = get_measure(examples())
    metric = measure.metric(answers, examples())
    assert metric.value == pytest.approx(100 * (1 + 2 / 3 + 1) / 3)
    sure = answers.copy()
    sure[2, 2] = 0.9  # an answer where there is none
    assert measure.drop(answers, sure, examples(), seed=0).value == pytest.approx(100 / 3)
    assert measure.changed(answers, sure).sum() == 0
    assert measure.drop_by_class(answers, sure, examples()) == ()


def test_a_test_split_that_hides_its_answers_is_left_out(tmp_path: Path) -> None:
    squad(tmp_path / "train.json")
    squad(tmp_path / "validation.json")
    for name, changed in (("validation", "Or"), ("test", "And")):
        text = (tmp_path / "train.json").read_text().replace("Who", changed)
        (tmp_path / f"{name}.json").write_text(text)
    hidden = json.loads((tmp_path / "test.json").read_text())
    for article in hidden["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                question["answers"] = []
    (tmp_path / "test.json").write_text(json.dumps(hidden))
    splits = load_splits(str(tmp_path), label_names=None, task=TASK)
    assert any("test split (60) has no answers" in note for note in splits.notes)
    assert all(text.startswith("Or") for text in splits.report.texts)
