"""Rows that no text can ask for are left out; whatever can be asked for stays."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, BertTokenizer

from export.vocabulary import live_tokens, without_dead_tokens

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LIVE = ("a", "the", "cafe", "\u00df", ",", "\u4e2d", "##s", "##\u00df")
DEAD = (
    "[unused1]",  # three pieces
    "Cafe",  # an upper case letter
    "caf\u00e9",  # an accent
    "##\u4e2d",  # always a word of its own
    "##,",  # likewise
    "a b",  # a space
    "\u4e2d\u6587",  # two words
)


@pytest.fixture
def uncased() -> BertTokenizer:
    names = [*SPECIAL, *(token for pair in zip(DEAD, LIVE, strict=False) for token in pair)]
    names += [token for token in LIVE if token not in names]
    return BertTokenizer(vocab={name: index for index, name in enumerate(names)})


def described(tokenizer: Any) -> str:
    text: str = tokenizer.backend_tokenizer.to_str()
    return text


def test_what_normalization_never_leaves_is_dead(uncased: BertTokenizer) -> None:
    kept = {uncased.convert_ids_to_tokens(index) for index in live_tokens(described(uncased))}
    assert kept == {*SPECIAL, *LIVE}


def test_a_tokenizer_that_keeps_case_and_accents_keeps_their_tokens(uncased: BertTokenizer) -> None:
    cased = BertTokenizer(vocab=uncased.get_vocab(), do_lower_case=False)
    kept = {cased.convert_ids_to_tokens(index) for index in live_tokens(described(cased))}
    assert {"Cafe", "caf\u00e9"} <= kept
    assert not {"[unused1]", "##\u4e2d", "##,", "a b"} & kept


def test_every_token_that_texts_are_given_is_alive() -> None:
    """Against the library, with a vocabulary of single characters and all their continuations."""
    characters = [chr(code) for code in (*range(33, 0x250), *range(0x370, 0x530), 0x4E2D, 0x3042)]
    vocab = {name: index for index, name in enumerate(SPECIAL)}
    for character in characters:
        vocab.setdefault(character, len(vocab))
        vocab.setdefault(f"##{character}", len(vocab))
    tokenizer = BertTokenizer(vocab=vocab)
    alive = set(live_tokens(described(tokenizer)))
    assert len(alive) < len(vocab)
    texts = [" ".join(characters), *(f"a{c}a {c}{c}" for c in characters)]
    encoded = tokenizer.backend_tokenizer.encode_batch(texts)
    assert {index for row in encoded for index in row.ids} <= alive


def test_other_tokenizers_keep_everything() -> None:
    backend = Tokenizer(models.BPE({"A": 0, "a": 1}, []))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    assert live_tokens(backend.to_str()) == (0, 1)


def test_the_smaller_model_answers_the_same(
    uncased: BertTokenizer, lean: Any, tmp_path: Path
) -> None:
    module = lean(vocab_size=len(uncased), id2label={0: "a", 1: "b", 2: "c"})
    uncased.save_pretrained(tmp_path)
    text = "the caf\u00e9s, [MASK] \u4e2d\u6587 unknown \u00df\u00df"
    before = uncased(text, "A", return_tensors="pt")

    smaller = without_dead_tokens(module, tmp_path)

    after = AutoTokenizer.from_pretrained(tmp_path)(text, "A", return_tensors="pt")
    assert smaller.config.vocab_size == len(SPECIAL) + len(LIVE) < module.config.vocab_size
    assert smaller.get_input_embeddings().weight.shape[0] == smaller.config.vocab_size
    assert module.get_input_embeddings().weight.shape[0] == len(uncased), "left as it was"
    assert not torch.equal(before["input_ids"], after["input_ids"])
    with torch.inference_mode():
        assert torch.equal(module(**before).logits, smaller(**after).logits)


def test_only_rows_behind_the_last_token_leave_the_tokenizer_alone(
    lean: Any, tmp_path: Path
) -> None:
    backend = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    backend.save(str(tmp_path / "tokenizer.json"))
    before = (tmp_path / "tokenizer.json").read_bytes()
    smaller = without_dead_tokens(lean(vocab_size=64), tmp_path)
    assert smaller.config.vocab_size == 2
    assert (tmp_path / "tokenizer.json").read_bytes() == before


def test_a_tokenizer_with_ids_in_unknown_places_is_left_alone(
    uncased: BertTokenizer, lean: Any, tmp_path: Path
) -> None:
    backend = Tokenizer.from_str(described(uncased))
    backend.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.save(str(tmp_path / "tokenizer.json"))
    before = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    module = lean(vocab_size=len(uncased))
    assert without_dead_tokens(module, tmp_path) is module
    assert json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8")) == before
