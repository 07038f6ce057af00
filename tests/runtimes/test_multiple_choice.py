"""One of several choices: by hand from PyTorch's logits, and every form of question."""

from pathlib import Path
from typing import Any

import pytest

from runtimes.errors import UsageError
from runtimes.loading import open_checkpoint
from runtimes.tasks import multiple_choice

WORDS = ("the", "sun", "rises", "sets", "in", "east", "west", "cold")
PROMPT, CHOICES = "the sun rises", ["in the east", "west", "cold cold cold"]


@pytest.fixture
def chooser(tmp_path: Path) -> Path:
    from toy_models import save_bert, word_tokenizer
    from transformers import BertForMultipleChoice

    return save_bert(tmp_path, BertForMultipleChoice, word_tokenizer(WORDS), initializer_range=0.5)


def test_it_answers_as_pytorch_does(chooser: Path) -> None:
    import torch
    from transformers import AutoModelForMultipleChoice, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(chooser)
    model = AutoModelForMultipleChoice.from_pretrained(chooser).eval()
    rows = tokenizer([PROMPT] * 3, CHOICES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**{name: row[None] for name, row in rows.items()}).logits[0]
    expected = logits.softmax(-1).tolist()
    assert max(expected) - min(expected) > 0.1, "the choices are not all alike to it"
    with open_checkpoint(chooser) as choose:
        answer = choose({"prompt": PROMPT, "choices": CHOICES})
        assert answer["scores"] == pytest.approx(expected, abs=1e-5)
        assert answer["index"] == int(logits.argmax())
        assert answer["answer"] == CHOICES[answer["index"]]
        assert answer["score"] == pytest.approx(max(expected), abs=1e-5)
        several = choose([(PROMPT, CHOICES), (PROMPT, CHOICES[:2])])
        assert several[0]["scores"] == pytest.approx(expected, abs=1e-5)
        assert sum(several[1]["scores"]) == pytest.approx(1)
        pairs = [(PROMPT, choice) for choice in CHOICES]
        assert choose.logits(pairs)[:, 0] == pytest.approx(logits.numpy(), abs=1e-5)


def test_what_is_no_question_is_refused(chooser: Path) -> None:
    with open_checkpoint(chooser) as choose:
        wrong: list[Any] = ["text", ["text"], {"prompt": "a"}, ("a", []), ("a", ["b", 1])]
        for inputs in wrong:
            with pytest.raises(TypeError, match="choices"):
                choose(inputs)


def test_lines() -> None:
    assert multiple_choice.from_line("a\tb\tc") == ("a", ["b", "c"])
    with pytest.raises(UsageError, match="no choices"):
        multiple_choice.from_line("a\tb")
    result = {"index": 1, "answer": "c", "score": 0.75, "scores": [0.25, 0.75]}
    assert multiple_choice.lines("a\tb\tc", result) == [["c", "0.7500", "a"]]
    assert multiple_choice.record("a\tb\tc", result)["prompt"] == "a"
