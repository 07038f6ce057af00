"""Masked tokens: as `transformers.pipeline` fills them in, with the answers of no other token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.errors import UsageError
from runtimes.loading import open_checkpoint
from runtimes.tasks import fill_mask

WORDS = ("the", "sun", "rises", "sets", "in", "east", "west", "##s")
TEXTS = ["the sun [MASK] in the east", "the [MASK] sets in the [MASK]", "the sun [MASK]"]


@pytest.fixture
def guesser(tmp_path: Path) -> Path:
    from toy_models import save_bert, word_tokenizer
    from transformers import BertForMaskedLM

    return save_bert(tmp_path, BertForMaskedLM, word_tokenizer(WORDS), initializer_range=0.3)


def test_it_answers_like_transformers(guesser: Path) -> None:
    from transformers import pipeline

    expected: Any = pipeline("fill-mask", str(guesser), top_k=3)
    with open_checkpoint(guesser) as guess:
        for text in (TEXTS[0], TEXTS[2]):
            for own, other in zip(guess(text, top_k=3), expected(text), strict=True):
                assert own["score"] == pytest.approx(other["score"], abs=1e-5)
                assert (own["token"], own["sequence"]) == (other["token"], other["sequence"])
                assert own["token_str"] == other["token_str"].strip()
        several = guess(TEXTS[1], top_k=3)
        for mask, other in zip(several, expected(TEXTS[1]), strict=True):
            assert [own["token"] for own in mask] == [each["token"] for each in other]
        assert [len(found) for found in guess(TEXTS)] == [5, 2, 5]
        assert guess("the sun") == []
        with pytest.raises(UsageError, match="top_k"):
            guess(TEXTS[0], top_k=0)


def test_decisions_are_those_of_masked_tokens(guesser: Path) -> None:
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(guesser)
    model = AutoModelForMaskedLM.from_pretrained(guesser).eval()
    rows = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**rows).logits
    expected = logits[rows["input_ids"] == tokenizer.mask_token_id]
    with open_checkpoint(guesser) as guess:
        assert len(expected) == 4
        np.testing.assert_allclose(guess.logits(TEXTS), expected, atol=1e-5)
        assert guess.logits(["the sun"]).shape[0] == 0
        cut_off = "the sun rises " * 20 + "[MASK] in the [MASK]"
        assert not guess.logits([TEXTS[0], cut_off])[1:].any()
        assert guess.logits([cut_off, TEXTS[1]]).shape[0] == 4


def test_lines() -> None:
    best = [{"score": 0.5, "token": 3, "token_str": "sun", "sequence": "the sun"}]
    assert fill_mask.lines("the [MASK]", best) == [["sun 0.5000", "the [MASK]"]]
    assert len(fill_mask.lines("[MASK] [MASK]", [best, best])) == 2
    assert fill_mask.record("the [MASK]", best)["predictions"] == best
