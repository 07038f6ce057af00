"""Texts of one tokenizer in the tokens of another."""

from typing import Any

import numpy as np
import pytest
from toy_models import word_tokenizer
from transformers import BertTokenizer

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels, WordLabels
from compress.corpus.student_tokens import StudentTokens
from compress.data.tokenized import tokenize
from compress.errors import ModelError

WORDS = ("the", "sun", "rises", "sets", "##s", "in", "east")
TEXTS = ("the sun rises in the east", "suns", "the moon sets", "east")


def examples(*, pairs: bool = False) -> Examples:
    others = tuple(reversed(TEXTS)) if pairs else None
    return Examples(TEXTS, ClassLabels(np.zeros(len(TEXTS), np.int64)), ("a", "b"), others)


def renumbered() -> BertTokenizer:
    """The same word pieces in another order, with other names for special tokens."""
    names = ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")
    vocabulary = {word: index for index, word in enumerate((*names, *reversed(WORDS)))}
    return BertTokenizer(
        vocab=vocabulary,
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_max_length=48,
    )


def letters() -> BertTokenizer:
    """Every letter a token."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return word_tokenizer([*alphabet, *(f"##{letter}" for letter in alphabet)])


@pytest.mark.parametrize("pairs", [False, True])
def test_a_renumbered_vocabulary_is_aligned(pairs: bool) -> None:
    teacher, student = word_tokenizer(WORDS), renumbered()
    given = examples(pairs=pairs)
    tokens = StudentTokens(teacher, student, given, 48)
    assert tokens.aligned
    retold, own = tokens.retold(tokenize(given, teacher, 48)), tokenize(given, student, 48)
    for mapped, read in zip(retold.ids, own.ids, strict=True):
        np.testing.assert_array_equal(mapped, read)


@pytest.mark.parametrize("pairs", [False, True])
def test_other_word_pieces_are_spelled_out(pairs: bool) -> None:
    teacher, student = word_tokenizer(WORDS), letters()
    known = Examples(TEXTS[:2], ClassLabels(np.zeros(2, np.int64)), ("a", "b"))
    if pairs:
        known = Examples(TEXTS[:2], known.targets, ("a", "b"), ("the east", "sun"))
    tokens = StudentTokens(teacher, student, known, 48)
    assert not tokens.aligned
    retold, own = tokens.retold(tokenize(known, teacher, 48)), tokenize(known, student, 48)
    for spelled, read in zip(retold.ids, own.ids, strict=True):
        np.testing.assert_array_equal(spelled, read)
    assert (retold.type_ids is None) == (own.type_ids is None)
    if pairs:
        for spelled, read in zip(retold.type_ids or (), own.type_ids or (), strict=True):
            np.testing.assert_array_equal(spelled, read)


def test_masked_tokens_are_masked_for_the_student() -> None:
    teacher, student = word_tokenizer(WORDS), letters()
    tokens = StudentTokens(teacher, student, examples(), 48)
    texts = tokenize(examples(), teacher, 48).take([0])
    texts.ids[0][2] = teacher.mask_token_id
    assert student.mask_token_id in tokens.retold(texts).ids[0]


def test_a_task_about_words_needs_the_same_tokens() -> None:
    words = WordLabels(np.zeros(1, np.int64), np.ones(1, np.int64))
    tagged: Any = Examples(("sun",), words, ("O", "B-x"), task="token-classification")
    with pytest.raises(ModelError, match="other tokens than the model's"):
        StudentTokens(word_tokenizer(WORDS), letters(), tagged, 48)
    assert StudentTokens(word_tokenizer(WORDS), renumbered(), tagged, 48).aligned
