"""Tokenizing, batching and padding."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.labels import ClassLabels
from compress.data.tokenized import TokenizedTexts, collate, length_grouped_batches, tokenize


def test_ids_are_the_tokenizers_own_cut_to_the_length(toy: Any) -> None:
    texts = tokenize(toy.train, toy.tokenizer, 8)
    for ids, text in zip(texts.ids[:20], toy.train.texts, strict=False):
        assert ids.tolist() == toy.tokenizer(text, truncation=True, max_length=8)["input_ids"]
    assert texts.lengths.max() == 8
    assert texts.type_ids is None
    assert texts.labels is not None
    assert texts.labels.tolist() == toy.train.labels.tolist()


def test_pairs_have_types(toy: Any) -> None:
    texts = tokenize(toy.make_examples(5, 0, pairs=True), toy.tokenizer, 24)
    assert texts.type_ids is not None
    for ids, types in zip(texts.ids, texts.type_ids, strict=True):
        boundary = ids.tolist().index(toy.tokenizer.sep_token_id) + 1
        assert types.tolist() == [0] * boundary + [1] * (len(ids) - boundary)


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    size=st.integers(1, 20),
    seed=st.integers(0, 5),
)
def test_each_text_is_in_exactly_one_batch(lengths: list[int], size: int, seed: int) -> None:
    batches = length_grouped_batches(np.asarray(lengths), size, np.random.default_rng(seed), pool=4)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
    assert len(batches) == -(-len(lengths) // size)


def test_grouping_pads_little_and_orders_anew() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=4000)

    def padding(batches: list[Any]) -> float:
        return float(np.mean([1 - lengths[b].mean() / lengths[b].max() for b in batches]))

    grouped = length_grouped_batches(lengths, 32, np.random.default_rng(1))
    plain = length_grouped_batches(lengths, 32, np.random.default_rng(1), pool=1)
    again = length_grouped_batches(lengths, 32, np.random.default_rng(2))
    same = length_grouped_batches(lengths, 32, np.random.default_rng(1))
    assert padding(grouped) < 0.1 < padding(plain)
    assert [b.tolist() for b in grouped] == [b.tolist() for b in same]
    assert [b.tolist() for b in grouped] != [b.tolist() for b in again]
    means = [lengths[b].mean() for b in grouped]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3  # not short to long


def test_collate_pads_on_the_right_and_only_where_needed() -> None:
    ids = [np.arange(1, n + 1, dtype=np.int32) for n in (2, 4, 4)]
    texts = TokenizedTexts(ids)
    batch = collate(texts, [0, 1], pad_token_id=9)
    assert batch["input_ids"].tolist() == [[1, 2, 9, 9], [1, 2, 3, 4]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert set(collate(texts, [1, 2], pad_token_id=9)) == {"input_ids"}
    assert collate(texts, [1], 9)["input_ids"].dtype == torch.int64


def test_joining_fills_in_what_one_side_lacks() -> None:
    one = TokenizedTexts([np.asarray([1, 2], np.int32)], targets=ClassLabels(np.asarray([1])))
    two = TokenizedTexts([np.asarray([3], np.int32)], type_ids=[np.asarray([1], np.int8)])
    both = one.followed_by(two)
    assert both.labels is not None
    assert both.labels.tolist() == [1, -1]
    assert both.type_ids is not None
    assert [t.tolist() for t in both.type_ids] == [[0, 0], [1]]
    assert both.take([1]).ids[0].tolist() == [3]
