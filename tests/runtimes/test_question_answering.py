"""Spans of contexts: by hand from PyTorch's logits, in windows, and with no answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.errors import DataError, UsageError
from runtimes.loading import open_checkpoint
from runtimes.tokenization import Tokenizer

WORDS = ("who", "is", "ada", "the", "first", "of", "all", "she", "was", "born", "in", "london")
ASKED = [
    ("who is she", "ada was born in london"),
    ("who was first", "she is the first of all"),
    ("who", " ".join(WORDS * 12)),
]


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A BERT with random weights whose answers depend on the token; windows of 48 tokens."""
    from toy_models import save_bert, word_tokenizer
    from transformers import BertForQuestionAnswering

    return save_bert(
        tmp_path, BertForQuestionAnswering, word_tokenizer(WORDS), sharpened="qa_outputs"
    )


def by_hand(reader: Path, question: str, context: str) -> tuple[float, str]:
    """The best span of one window, over all pairs of tokens."""
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(reader)
    model = AutoModelForQuestionAnswering.from_pretrained(reader).eval()
    inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    offsets = inputs.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        output = model(**inputs)
    inside = [i for i, sequence in enumerate(inputs.sequence_ids(0)) if sequence == 1]
    kept = [0, *inside]
    starts = dict(zip(kept, output.start_logits[0, kept].softmax(-1).tolist(), strict=True))
    ends = dict(zip(kept, output.end_logits[0, kept].softmax(-1).tolist(), strict=True))
    score, start, end = max(
        (starts[a] * ends[b], a, b) for a in inside for b in inside if a <= b < a + 15
    )
    return score, context[offsets[start][0] : offsets[end][1]]


def test_the_best_span_is_the_answer(reader: Path) -> None:
    with open_checkpoint(reader) as ask:
        assert ask.task.SPEC.name == "question-answering"
        for question, context in ASKED[:2]:
            score, answer = by_hand(reader, question, context)
            found = ask({"question": question, "context": context})
            assert found["answer"] == answer
            assert found["score"] == pytest.approx(score, rel=1e-4)
            assert context[found["start"] : found["end"]] == answer


def test_long_contexts_are_read_in_windows(reader: Path) -> None:
    with open_checkpoint(reader) as ask:
        outputs = ask.outputs(ASKED)
        assert list(outputs.items)[:3] == [0, 1, 2]
        assert outputs.items.count(2) > 4
        covered = np.zeros(len(ASKED[2][1]), dtype=bool)
        for item, encoding in zip(outputs.items, outputs.encodings, strict=True):
            assert len(encoding.ids) <= 48
            for (start, end), part in zip(encoding.offsets, encoding.sequence_ids, strict=True):
                if item == 2 and part == 1:
                    covered[start:end] = True
        assert all(covered[i] for i, letter in enumerate(ASKED[2][1]) if letter != " ")
        answers = ask(ASKED[2], top_k=5)
        assert len({(a["start"], a["end"]) for a in answers}) == 5
        assert [a["score"] for a in answers] == sorted((a["score"] for a in answers), reverse=True)


def test_batches_and_single_questions_agree(reader: Path) -> None:
    with open_checkpoint(reader) as ask:
        together, alone = ask(ASKED), [ask(one) for one in ASKED]
        assert [a["answer"] for a in together] == [a["answer"] for a in alone]
        decisions = ask.logits(ASKED)
        assert decisions.shape == (3, 4)
        assert [[a["start"], a["end"]] for a in together] == decisions[:, :2].astype(int).tolist()


def test_there_may_be_no_answer(reader: Path) -> None:
    with open_checkpoint(reader) as ask:
        every = ask(ASKED[0], top_k=50, handle_impossible_answer=True)
        none = [a for a in every if a["answer"] == ""]
        assert len(none) == 1
        assert none[0]["score"] == pytest.approx(float(ask.logits([ASKED[0]])[0, 3]))


@pytest.mark.parametrize("wrong", ["who", 3, {"question": "who"}, [("a", "b", "c")]])
def test_other_inputs_are_refused(reader: Path, wrong: Any) -> None:
    with open_checkpoint(reader) as ask, pytest.raises(TypeError, match="question"):
        ask(wrong)


def test_options_that_do_not_exist_are_refused(reader: Path) -> None:
    with open_checkpoint(reader) as ask, pytest.raises(UsageError, match="at least 1"):
        ask(ASKED[0], top_k=0)


def test_a_question_too_long_for_windows_is_refused(reader: Path) -> None:
    """Not by a panic of the tokenizer, which no `except Exception` would see."""
    question, (_, context) = "who " * 21, ASKED[2]
    with open_checkpoint(reader) as ask, pytest.raises(DataError, match=r"'who who.*too long"):
        ask((question, context))
    own = Tokenizer.from_folder(reader, max_length=48, windows=True)
    for inputs in ([(question, context)], [ASKED[0], (question, context)]):
        with pytest.raises(DataError, match="a window of 48 tokens"):
            own.rows(inputs, offsets=True)
    assert len(own.rows([("who " * 20, context)], offsets=True).lengths) > 1


def test_a_model_is_timed_on_all_windows(reader: Path) -> None:
    with open_checkpoint(reader) as ask:
        inputs = ask.encode([ASKED[2]])
        assert len(inputs["input_ids"]) == len(ask.outputs([ASKED[2]]).items) > 1
