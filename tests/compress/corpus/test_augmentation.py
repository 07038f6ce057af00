"""Generated text: same seed same text, special tokens in place, neighbours of the same kind."""

from typing import Any

import numpy as np
import pytest

from compress.corpus.augmentation import (
    augment,
    mask_tokens,
    mix_spans,
    nearest_tokens,
    read_vocabulary,
    replace_tokens,
    sample_span,
    token_kinds,
)
from compress.data.tokenized import tokenize


@pytest.fixture
def table(toy: Any) -> Any:
    return toy.teacher.encoder.embeddings.words.weight.detach().numpy()


def test_kinds_tell_words_pieces_punctuation_and_special_tokens_apart(toy: Any) -> None:
    vocabulary = toy.tokenizer.get_vocab()
    kinds = token_kinds(toy.tokenizer, len(vocabulary))
    word, piece, stop, special = (kinds[vocabulary[t]] for t in ("good", "##ly", ".", "[SEP]"))
    assert special == 0
    assert len({word, piece, stop, special}) == 4
    assert kinds[vocabulary["film"]] == word
    assert kinds[vocabulary[","]] == stop


def test_nearest_tokens_are_the_nearest_by_cosine() -> None:
    angles = np.asarray([0.0, 0.1, 0.3, 3.0, 0.05, 1.0])
    table = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    table[1] *= 50  # length does not matter
    kinds = np.asarray([1, 1, 1, 1, 2, 2], dtype=np.int8)
    found = nearest_tokens(table, kinds, np.asarray([0, 4], np.int32), count=2)
    assert set(found[0].tolist()) == {1, 2}
    assert found[1].tolist() == [5, 5]  # the only other one of its kind


def test_pure_functions(toy: Any, table: Any) -> None:
    rng = np.random.default_rng(0)
    tokens = np.arange(5, 15, dtype=np.int32)
    span = sample_span(tokens, rng)
    assert 3 <= len(span) <= 10
    assert span.tolist() == list(range(span[0], span[0] + len(span)))
    assert mask_tokens(tokens, 4, 1.0, rng).tolist() == [4] * 10
    assert mask_tokens(tokens, 4, 0.0, rng).tolist() == tokens.tolist()
    vocabulary = read_vocabulary(toy.tokenizer, table, toy.texts)
    replaced = replace_tokens(tokens, vocabulary, 1.0, rng)
    assert (replaced != tokens).all()
    assert tokens.tolist() == list(range(5, 15))  # the argument is not changed
    mixed = mix_spans(tokens, tokens + 100, rng)
    assert mixed[0] < 100 < mixed[-1]


@pytest.mark.parametrize("pairs", [False, True])
def test_structure_types_and_length_hold(toy: Any, table: Any, pairs: bool) -> None:
    texts = tokenize(toy.make_examples(60, 3, pairs), toy.tokenizer, 24)
    vocabulary = read_vocabulary(toy.tokenizer, table, texts)
    made = augment(texts, vocabulary, 3, np.random.default_rng(0), max_length=24)
    assert len(made) == 180
    assert made.labels is None
    assert made.lengths.max() <= 24
    special = [toy.tokenizer.cls_token_id, toy.tokenizer.sep_token_id]
    changed = 0
    for index, ids in enumerate(made.ids):
        original = texts.ids[index % 60]
        kept = [int(i) for i in ids if i in special]
        assert kept == [int(i) for i in original if i in special]
        assert ids[0] == special[0]
        assert ids[-1] == special[1]
        changed += ids.tolist() != original.tolist()
        if pairs:
            assert made.type_ids is not None
            boundary = ids.tolist().index(special[1]) + 1
            expected = [0] * boundary + [1] * (len(ids) - boundary)
            assert made.type_ids[index].tolist() == expected
    assert changed > 120
    assert (made.type_ids is not None) == pairs


def test_same_seed_same_text(toy: Any, table: Any) -> None:
    vocabulary = read_vocabulary(toy.tokenizer, table, toy.texts)
    one, two, other = (
        augment(toy.texts, vocabulary, 1, np.random.default_rng(seed), 24) for seed in (0, 0, 1)
    )
    assert [i.tolist() for i in one.ids] == [i.tolist() for i in two.ids]
    assert [i.tolist() for i in one.ids] != [i.tolist() for i in other.ids]
