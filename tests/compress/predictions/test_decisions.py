"""One decision a text, or one a word: where it is read, and what counts as an answer."""

import numpy as np
import pytest
import torch

from benchmarks.labels import ClassLabels
from compress.data.tokenized import TokenizedTexts, TokenLabels
from compress.encoder.answers import over_tokens, rows_of
from compress.predictions.decisions import decided


def texts() -> TokenizedTexts:
    return TokenizedTexts(
        ids=[np.arange(4, dtype=np.int32), np.arange(6, dtype=np.int32)],
        targets=TokenLabels(np.array([7, 8, 9]), [np.array([1]), np.array([2, -1])]),
    )


def test_words_are_read_at_their_first_token() -> None:
    logits = torch.arange(2 * 6 * 3, dtype=torch.float32).view(2, 6, 3)
    own = decided(logits, texts(), [1, 0])
    assert own.tolist() == [logits[0, 2].tolist(), [0, 0, 0], logits[1, 1].tolist()]
    assert texts().decisions([1, 0]).tolist() == [1, 2, 0]
    assert texts().decision_count == 3


def test_of_texts_the_logits_are_the_decisions() -> None:
    logits = torch.ones(2, 3)
    plain = TokenizedTexts(ids=texts().ids, targets=ClassLabels(np.array([0, 1])))
    assert decided(logits, plain, [0, 1]) is logits
    assert plain.decisions([1]).tolist() == [1]
    with pytest.raises(ValueError, match="labelled words"):
        decided(torch.ones(2, 6, 3), plain, [0, 1])


def test_every_token_but_padding_is_an_answer() -> None:
    logits = torch.arange(12, dtype=torch.float32).view(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert rows_of(logits, mask).shape == (5, 2)
    assert rows_of(logits, None).shape == (6, 2)
    assert rows_of(logits[:, 0], mask).shape == (2, 2)
    spans = over_tokens(logits, mask.bool())
    assert spans.shape == (4, 3)
    assert (spans[:2, 2] < -10000).all()


def test_words_stay_with_their_texts() -> None:
    taken = texts().take([1])
    assert taken.labels is not None
    assert isinstance(taken.targets, TokenLabels)
    assert taken.labels.tolist() == [8, 9]
    generated = TokenizedTexts(ids=[np.arange(3, dtype=np.int32)])
    joined = texts().followed_by(generated)
    assert joined.decision_count == 3
    assert joined.decisions([2]).tolist() == []
    assert joined.labels is not None
    assert len(joined.labels) == 3
    assert texts().without_labels().targets is None
