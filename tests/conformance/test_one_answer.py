"""The same text has the same answer, alone, in any list and in any order, on every runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_texts import hostile_texts
from one_answer import export_for_all, open_on, same_everywhere

from runtimes import runtime_names
from runtimes.tokenization import Tokenizer

COUNT = 320


@pytest.fixture(scope="module")
def exported(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_for_all(task, tmp_path_factory.mktemp("answers"))


@pytest.fixture(scope="module")
def texts(task: Any) -> list[str]:
    return hostile_texts(COUNT, words=[*task.vocabulary])


@pytest.mark.parametrize("runtime", runtime_names())
def test_a_text_has_one_answer(runtime: str, task: Any, exported: Path, texts: list[str]) -> None:
    with open_on(runtime, task, exported) as predict:
        assert same_everywhere(predict, texts) == 0
        one, two = predict.logits(texts[:64]), predict.logits(texts[63::-1])[::-1]
        np.testing.assert_array_equal(one, two)


def test_so_it_has_with_several_sessions(task: Any, exported: Path, texts: list[str]) -> None:
    with open_on("onnxruntime", task, exported, sessions=2) as predict:
        assert same_everywhere(predict, texts) == 0


def test_batches_are_asked_for_and_change_answers(
    task: Any, exported: Path, texts: list[str]
) -> None:
    with open_on("onnxruntime", task, exported, batch_invariant=False) as predict:
        assert same_everywhere(predict, texts) > 0


def test_the_tokens_are_those_of_transformers(task: Any, exported: Path, texts: list[str]) -> None:
    from transformers import AutoTokenizer

    stock = AutoTokenizer.from_pretrained(exported / "artifact")
    ours = Tokenizer.from_folder(exported / "artifact")
    length = ours.max_length
    expected = stock(texts, truncation=True, max_length=length)["input_ids"]
    assert [ours.encode_one(text)["input_ids"][0].tolist() for text in texts] == expected
    assert [list(row) for row in ours.rows(texts).columns["input_ids"]] == expected
    cut = [len(row) > length for row in stock(texts)["input_ids"]]
    assert ours.truncated(texts) == cut
    assert any(cut)
    assert not all(cut)
