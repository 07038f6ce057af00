"""A long text has the tokens that it has as a whole, and only its beginning is read for them."""

import random
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as Backend

from runtimes import cutting
from runtimes.cutting import Cutter
from runtimes.tokenization import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CORPUS = [
    "a gorgeous , witty film that never bores",
    "dull and not very witty , not very witty at all",
    "déjà vu ! 12 ünïcödé wörds , 漢字 and emoji 🙂 , щи да каша",
]
LENGTH = 12


def once(build: Callable[[], Backend]) -> Callable[[], Backend]:
    """Train a tokenizer once: no two trainings have the same vocabulary."""
    trained = cache(lambda: build().to_str())
    return lambda: Backend.from_str(trained())


def _framed(backend: Backend, first: str = "[CLS]", last: str = "[SEP]", pair: str = "") -> Backend:
    backend.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} {pair} $B:1 {last}:1".replace("  ", " "),
        special_tokens=[(t, backend.token_to_id(t)) for t in (first, last)],
    )
    return backend


@once
def bert() -> Backend:
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=SPECIAL, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    return _framed(backend)


def normalized(**options: bool) -> Backend:
    backend = bert()
    backend.normalizer = normalizers.BertNormalizer(**options)
    return backend


def cased_bert() -> Backend:
    return normalized(lowercase=False)


def mpnet() -> Backend:
    backend = bert()
    backend.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return backend


@once
def roberta() -> Backend:
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    backend.decoder = decoders.ByteLevel()
    return _framed(backend, "<s>", "</s>", "</s>")


def modern_bert() -> Backend:
    backend = roberta()
    backend.normalizer = normalizers.NFC()
    backend.add_tokens([AddedToken(" " * n, normalized=True) for n in range(2, 9)])
    return backend


@once
def unigram() -> Backend:
    backend = Backend(models.Unigram())
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=110, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return _framed(backend, "<s>", "</s>", "</s>")


def metaspace() -> Backend:
    backend = unigram()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return backend


FAMILIES: dict[str, Callable[[], Backend]] = {
    "bert": bert,
    "cased bert": cased_bert,
    "mpnet": mpnet,
    "roberta": roberta,
    "modern bert": modern_bert,
    "unigram": unigram,
    "metaspace": metaspace,
}

# What ties a character to the one beside it, or passes for a separator without being one.
PIECES = [
    *SPECIAL,
    *"aeiIsSmMkK0149éÉñßİıσςΣäÄ漢字の。，!,.'-[]#\u0301\u0308🙂щ\u0600\u0d4e\u00ad",  # noqa: RUF001
    "<mask>",
    "<mask",
    "mask>",
    "[MASK",
    "MASK]",
    "a" * 101,
    "ы" * 90,
    "ba" * 40,
    "!" * 40,
    "e\u0301\u0323",
    "\x00",
    "\ufffd",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\ufb01",
    "가",
    "ᄀ",
    "ᅡ",
    "\u0e33",
    "\u2581",
    "don't",
    "'s",
]
GAPS = [
    "",
    " ",
    " ",
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\r\n",
    "\x0b",
    "\x1c",
    "\x85",
    "\u00a0",
    "\u3000",
]

hard_texts = st.lists(
    st.tuples(st.sampled_from(PIECES) | st.text(max_size=6), st.sampled_from(GAPS)), max_size=25
).map(lambda parts: "".join(piece + gap for piece, gap in parts))


def short_reading(build: Callable[[], Backend], length: int = LENGTH) -> Tokenizer:
    """A tokenizer that reads a few characters at first."""
    ours = Tokenizer(build(), max_length=length, pad_token_id=0)
    ours._enough = 6
    return ours


@pytest.fixture(scope="module", params=list(FAMILIES))
def both(request: pytest.FixtureRequest) -> tuple[Backend, Tokenizer]:
    """(the library's tokenizer, ours)."""
    build = FAMILIES[request.param]
    backend = build()
    backend.enable_truncation(LENGTH)
    return backend, short_reading(build)


def assert_alike(found: Any, expected: Any) -> None:
    for name in ("ids", "attention_mask", "type_ids", "offsets", "tokens", "special_tokens_mask"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.sequence_ids == expected.sequence_ids
    assert bool(found.overflowing) == bool(expected.overflowing)


@settings(max_examples=40, deadline=None)
@given(text=hard_texts)
def test_any_text_has_the_tokens_of_the_whole(both: tuple[Backend, Tokenizer], text: str) -> None:
    backend, ours = both
    expected = backend.encode(text)
    assert_alike(ours._encoding(text), expected)
    assert ours.encode_one(text)["input_ids"].tolist() == [expected.ids]
    assert ours.rows([text, "a"]).columns["input_ids"][0] == expected.ids
    assert ours.truncated([text]) == [bool(expected.overflowing)]


@settings(max_examples=40, deadline=None)
@given(first=hard_texts, second=hard_texts, length=st.integers(4, 15))
def test_so_has_any_pair(
    both: tuple[Backend, Tokenizer], first: str, second: str, length: int
) -> None:
    backend, ours = both
    for each in (backend, ours.backend):
        each.enable_truncation(length)
    ours.max_length = length
    try:
        assert_alike(ours._encoding((first, second)), backend.encode(first, second))
    finally:
        for each in (backend, ours.backend):
            each.enable_truncation(LENGTH)
        ours.max_length = LENGTH


@pytest.mark.parametrize("build", FAMILIES.values(), ids=FAMILIES)
def test_little_of_a_long_text_is_read(
    build: Callable[[], Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of two long texts the one with more tokens gets the odd one: there is none here.
    length = 16 + build().num_special_tokens_to_add(True) % 2
    ours = Tokenizer(build(), max_length=length, pad_token_id=0)
    read: list[int] = []
    real = Cutter.beginnings

    def noted(self: Cutter, text: str, size: int) -> Any:
        for beginning in real(self, text, size):
            read.append(len(beginning.text))
            yield beginning

    monkeypatch.setattr(Cutter, "beginnings", noted)
    text = "a gorgeous , witty film " * 40_000
    assert ours.truncated([text, text]) == [True, True]
    assert ours.encode_one(text)["input_ids"].shape == (1, length)
    assert ours.encode([text] * 3)["input_ids"].shape == (3, length)
    assert ours.encode_one((text, f"{text} dull"))["input_ids"].shape == (1, length)
    assert max(read) < 3000


def test_of_two_long_texts_the_one_with_more_tokens_gets_the_odd_one() -> None:
    ours, backend = short_reading(bert, 8), bert()
    backend.enable_truncation(8)
    text = "a gorgeous , witty film " * 20
    for pair in ((text, f"{text} dull"), (f"{text} dull", text), (text, text)):
        assert_alike(ours._encoding(pair), backend.encode(*pair))


STRETCHES = {
    "letters": "a" * 9000,
    "words": "abcXYZ09" * 1200,
    "cyrillic": "щи" * 4000,
    "spaces": " " * 9000,
    "white space": " \n\t\r" * 3000,
    "emoji": "🙂" * 9000,
    "marks": "\u0301" * 9000,
    "nulls": "\x00" * 9000,
    "joiners": "\u200b" * 9000,
    "ideographic space": "\u3000" * 9000,
    "chinese": "漢字" * 4000,
    "punctuation": "!" * 9000,
    "dashes": "\u2014" * 9000,
    "kana": "の" * 9000,
    "hiragana": "\u3042\u304c" * 4500,
    "arabic": "\u0645\u0631\u062d" * 3000,
    "hebrew": "\u05e9\u05dc\u05d5" * 3000,
    "hangul": "\uac00\ud55c" * 4500,
}


@pytest.mark.parametrize("normalizer", [{}, {"lowercase": False}, {"clean_text": False}], ids=str)
@pytest.mark.parametrize("stretch", STRETCHES.values(), ids=STRETCHES)
def test_long_stretches_are_left_out_of_the_middle(
    stretch: str, normalizer: dict[str, bool]
) -> None:
    backend = normalized(**normalizer)
    ours = Tokenizer(normalized(**normalizer), max_length=LENGTH, pad_token_id=0)
    backend.enable_truncation(LENGTH)
    for text in (
        stretch,
        f"a {stretch} film",
        f"a{stretch}\u0301b film, dull {stretch}{stretch[:2000]} [MASK] a",
        f"{stretch}[MASK]{stretch} film",
        f"{stretch[:2049]}\u0323{stretch} film",
    ):
        assert_alike(ours._encoding(text), backend.encode(text))
        assert_alike(ours._encoding((text, "a")), backend.encode(text, "a"))


@pytest.mark.parametrize("name", ["letters", "words", "cyrillic", "spaces", "emoji", "nulls"])
def test_a_word_of_any_length_is_read_by_its_beginning(name: str) -> None:
    ours = Tokenizer(bert(), max_length=LENGTH, pad_token_id=0)
    assert ours._cutter is not None
    text = f"a {STRETCHES[name] * 40} film"
    beginnings = list(ours._cutter.beginnings(text, ours._enough))
    assert beginnings[-1].whole
    assert len(beginnings[-1].text) < 2 * ours._enough


@pytest.mark.parametrize("name", ["letters", "words", "arabic", "hangul", "emoji", "nulls"])
@pytest.mark.parametrize("before", ["x " * 750, "x " * 1100, "x " * 1020 + "!" * 9])
def test_so_is_one_that_begins_after_others(name: str, before: str) -> None:
    length = 1500
    backend, ours = bert(), Tokenizer(bert(), max_length=length, pad_token_id=0)
    backend.enable_truncation(length)
    ours._enough = 2048
    assert ours._cutter is not None
    text = f"{before}{STRETCHES[name] * 4} film, dull"
    beginnings = list(ours._cutter.beginnings(text, ours._enough))
    assert beginnings[-1].whole
    assert len(beginnings[-1].text) < 5 * ours._enough
    assert_alike(ours._encoding(text), backend.encode(text))
    assert_alike(ours._encoding(("a film", text)), backend.encode("a film", text))


def test_an_added_token_of_letters_is_found_within_a_stretch() -> None:
    def build() -> Backend:
        backend = bert()
        backend.add_special_tokens([AddedToken("aXa", normalized=False), "🙂🙂🙂"])
        return backend

    backend, ours = build(), Tokenizer(build(), max_length=LENGTH, pad_token_id=0)
    backend.enable_truncation(LENGTH)
    for text in ("a" * 4000 + "Xa" + "a" * 5000 + "b c d", "🙂" * 9000, "b" * 4000 + "aXa" * 9000):
        assert_alike(ours._encoding(text), backend.encode(text))


def test_letters_are_letters() -> None:
    found = [chr(i) for i in range(0x10000) if re.fullmatch(f"[{cutting._LETTERS}]", chr(i))]
    assert len(found) > 500
    normalizer = normalizers.BertNormalizer()
    for letter in found:
        assert unicodedata.category(letter)[0] in "LN"
        assert normalizer.normalize_str(letter).strip()
        split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(
            normalizer.normalize_str(f"a{letter}a")
        )
        assert len(split) == 1


def _set(name: str, part: Any) -> Callable[[Backend], Any]:
    return lambda backend: setattr(backend, name, part)


OTHERS: dict[str, tuple[Callable[[], Backend], Callable[[Backend], Any]]] = {
    "a token with a space": (roberta, lambda b: b.add_tokens([AddedToken("a b")])),
    "a pattern across a space": (unigram, _set("normalizer", normalizers.Replace("a b", "c"))),
    "an unknown pattern": (
        unigram,
        _set("normalizer", normalizers.Replace(Regex("a(?= b)"), "c")),
    ),
    "no splitting": (unigram, _set("pre_tokenizer", pre_tokenizers.Metaspace(split=False))),
    "no pre-tokenizer": (bert, _set("pre_tokenizer", None)),
    "unknown splitting": (
        roberta,
        _set("pre_tokenizer", pre_tokenizers.Split(Regex("a b|c"), "isolated")),
    ),
    "dropout": (roberta, lambda b: setattr(b.model, "dropout", 0.5)),
}


@pytest.mark.parametrize(("build", "change"), OTHERS.values(), ids=OTHERS)
def test_of_other_tokenizers_texts_are_read_whole(
    build: Callable[[], Backend], change: Callable[[Backend], Any]
) -> None:
    backend = build()
    change(backend)
    assert Cutter.of(backend) is None


def test_a_text_cut_on_the_left_and_windows_are_read_whole() -> None:
    text = "a gorgeous , witty film " * 500
    left = Tokenizer(bert(), max_length=8, pad_token_id=0, truncation_side="left")
    reference = bert()
    reference.enable_truncation(8, direction="left")
    assert left.encode_one(text)["input_ids"].tolist() == [reference.encode(text).ids]
    assert left.truncated([text, "a"]) == [True, False]
    windows = Tokenizer(bert(), max_length=16, pad_token_id=0, windows=True)
    assert len(windows.rows([("a", text)], offsets=True).lengths) > 100
    assert windows.truncated([("a", text)]) == [False]


def test_random_texts_of_words_are_cut_exactly(both: tuple[Backend, Tokenizer]) -> None:
    backend, ours = both
    rng = random.Random(0)
    words = [*" ".join(CORPUS).split(), "<mask>", "[MASK]", "don't"]
    for _ in range(300):
        text = "".join(
            rng.choice(words) + rng.choice([" ", " ", "  ", "\n", ". "]) for _ in range(80)
        )
        assert_alike(ours._encoding(text), backend.encode(text))
