"""A student of other origin: another width, another tokenizer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import BertTokenizer

from compress.corpus.corpus import Material
from compress.corpus.student_tokens import StudentTokens
from compress.stages import get_stage
from compress.stages.base import Encoder


def numbered_backwards(tokenizer: BertTokenizer) -> BertTokenizer:
    words = sorted(tokenizer.get_vocab(), key=lambda word: -tokenizer.get_vocab()[word])
    vocabulary = {word: index for index, word in enumerate(words)}
    return BertTokenizer(vocab=vocabulary, model_max_length=32)


def letters() -> BertTokenizer:
    alphabet = "abcdefghijklmnopqrstuvwxyz.,"
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = (*special, *alphabet, *(f"##{letter}" for letter in alphabet))
    return BertTokenizer(vocab={w: i for i, w in enumerate(words)}, model_max_length=96)


@pytest.mark.parametrize("aligned", [True, False])
def test_it_learns_to_answer_as_the_teacher(toy: Any, tmp_path: Path, aligned: bool) -> None:
    learning = {"epochs": 2.0, "learning_rate": 3e-3, "augment": 2, "freeze_embeddings": False}
    context = toy.context(tmp_path, distill=learning)
    own = numbered_backwards(toy.tokenizer) if aligned else letters()
    module = toy.make_model(
        layers=2,
        seed=3,
        vocab_size=len(own),
        embedding_size=24,
        hidden_size=24,
        max_position_embeddings=96,
        pad_token_id=own.pad_token_id,
    )
    student = Encoder(module, own)
    tokens = StudentTokens(toy.tokenizer, own, toy.train, 96)
    assert tokens.aligned == aligned
    material = Material(
        toy.teacher,
        toy.tokenizer,
        toy.train,
        toy.selection,
        max_length=24,
        seed=0,
        scratch=tmp_path,
        student=tokens,
    )
    context = replace(context, material=material, student=student)
    with material:
        before = material.selection.evaluate(module).figures["kl"]
        taught = get_stage("distill").apply(student, context)
        after = material.selection.evaluate(taught.module).figures["kl"]
        assert after < 0.5 * before
        pruned = get_stage("prune").apply(taught, context)
    assert pruned.state.provenance is not None
    assert sum(map(len, pruned.state.provenance.heads)) < 8  # of the student's own
    assert pruned.module.config.hidden_size == 24
