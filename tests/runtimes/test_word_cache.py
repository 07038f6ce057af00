"""A text put together from words that were met before has the ids that the library gives it."""

import csv
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from runtimes import word_cache
from runtimes.tokenization import Tokenizer
from runtimes.word_cache import MAX_CHARACTERS, WordCache

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefiIsSmMkK0149éÉñßİıσςΣäÄ漢字の!,.'-[]#\u0301\u0308🙂"  # noqa: RUF001 (alike, not the same)
VOCABULARY = {
    token: index
    for index, token in enumerate(
        [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), "mask", "bad", "##ed", "sea"]
    )
}
# What could tie a word to the one beside it, or pass for a separator without being one.
PIECES = [
    *SPECIAL,
    *LETTERS,
    "[mask]",
    "x[MASK]y",
    "[[SEP]]",
    "[SE",
    "P]",
    "a" * 101,  # longer than max_input_chars_per_word
    "ba" * 40,
    "!" * 40,
    "e\u0301\u0323",
    "\u0323\u0301",
    "ΟΔΟΣ",
    "\x00",
    "\x07",
    "\ufffd",
    "\u00ad",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\ufb01",
    "가",
    "ᄀ",
    "ᅡ",
]
GAPS = ["", " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x1c", "\x85", "\u00a0", "\u2028", "\u3000"]

hard_texts = st.lists(
    st.tuples(st.sampled_from(PIECES) | st.text(max_size=6), st.sampled_from([" ", *GAPS])),
    max_size=12,
).map(lambda parts: "".join(piece + gap for piece, gap in parts))

NORMALIZERS: dict[str, Any] = {
    "lower-cased": normalizers.BertNormalizer(),
    "cased": normalizers.BertNormalizer(lowercase=False),
    "lower-cased, accents kept": normalizers.BertNormalizer(strip_accents=False),
    "cased, accents stripped": normalizers.BertNormalizer(lowercase=False, strip_accents=True),
    "nothing cleaned": normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False),
    "not normalized": None,
}


def build(normalizer: Any = NORMALIZERS["lower-cased"]) -> Backend:
    """A WordPiece tokenizer of letters, as BERT's are put together."""
    backend = Backend(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = template()
    backend.add_special_tokens(SPECIAL)
    return backend


def template(single: str = "[CLS] $A [SEP]") -> Any:
    return processors.TemplateProcessing(
        single=single,
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )


def library_ids(backend: Backend, text: str, max_length: int) -> list[int]:
    backend.enable_truncation(max_length)
    ids: list[int] = backend.encode(text).ids
    return ids


@pytest.fixture(scope="module", params=list(NORMALIZERS))
def both(request: pytest.FixtureRequest) -> tuple[Backend, Tokenizer]:
    """(the library's tokenizer, ours with its words filling up over the tests)."""
    normalizer = NORMALIZERS[request.param]
    return build(normalizer), Tokenizer(build(normalizer), max_length=64, pad_token_id=0)


@settings(max_examples=300, deadline=None)
@given(text=hard_texts)
def test_any_text_has_the_ids_of_the_library(both: tuple[Backend, Tokenizer], text: str) -> None:
    backend, ours = both
    expected = library_ids(backend, text, 64)
    for _ in ("as met first", "as known"):
        arrays = ours.encode_one(text)
        assert arrays["input_ids"].tolist() == [expected]
        assert arrays["attention_mask"].tolist() == [[1] * len(expected)]
        assert arrays["token_type_ids"].tolist() == [[0] * len(expected)]


@settings(max_examples=40, deadline=None)
@given(text=hard_texts)
def test_a_text_is_cut_like_the_library_cuts_it_at_every_length(text: str) -> None:
    reference, backend = build(), build()
    whole = len(library_ids(reference, text, 10_000))
    for max_length in range(2, whole + 2):
        ours = Tokenizer(backend, max_length=max_length, pad_token_id=0)
        expected = library_ids(reference, text, max_length)
        assert ours.encode_one(text)["input_ids"].tolist() == [expected]


def test_the_arrays_are_as_those_of_a_batch() -> None:
    ours = Tokenizer(build(), max_length=64, pad_token_id=0)
    alone, batch = ours.encode_one("a bad sea !"), ours.encode(["a bad sea !", "bad"])
    for name, array in alone.items():
        np.testing.assert_array_equal(array, batch[name][:1])
        assert array.dtype == np.int64
        assert array.flags.carray  # contiguous, aligned and writeable, which OpenVINO asks for


def _added(**options: Any) -> Callable[[Backend], Any]:
    """Adds a token that is found in another way than by looking at one word as written."""
    content = options.pop("content", "<x>")
    options.setdefault("normalized", False)
    token = AddedToken(content, **options)
    return lambda backend: backend.add_special_tokens([token])


def _set(name: str, part: Any) -> Callable[[Backend], Any]:
    return lambda backend: setattr(backend, name, part)


OTHERS: dict[str, Callable[[Backend], Any]] = {
    "a token with a space": _added(content="a bad"),
    "a token that takes the space on its left": _added(lstrip=True),
    "a token that takes the space on its right": _added(rstrip=True),
    "a token that is a word of its own": _added(single_word=True),
    "a token found after normalizing": _added(normalized=True),
    "a token that is not special": lambda backend: backend.add_tokens(["bad"]),
    "another model": _set("model", models.WordLevel(VOCABULARY, unk_token="[UNK]")),
    "another splitting": _set("pre_tokenizer", pre_tokenizers.Metaspace()),
    "no splitting": lambda backend: setattr(backend, "pre_tokenizer", None),
    "another normalizer": _set("normalizer", normalizers.Replace("a b", "c")),
    "several normalizers": _set(
        "normalizer", normalizers.Sequence([normalizers.BertNormalizer(), normalizers.Strip()])
    ),
    "nothing around a text": _set("post_processor", template("$A")),
    "more around a text": _set("post_processor", template("[CLS] $A [SEP] [SEP]")),
    "a text of type 1": _set("post_processor", template("[CLS] $A:1 [SEP]")),
    "a first token of type 1": _set("post_processor", template("[CLS]:1 $A [SEP]")),
    "RoBERTa's frame": _set("post_processor", processors.RobertaProcessing(("[SEP]", 3), ("a", 5))),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_other_tokenizers_are_left_to_the_library(change: Callable[[Backend], Any]) -> None:
    backend, reference = build(), build()
    change(backend)
    change(reference)
    assert WordCache.of(backend, 64) is None
    ours = Tokenizer(backend, max_length=64, pad_token_id=0)
    for text in ("a bad sea", "a  <x>  bad", "<x> a bad b"):
        row = reference.encode(text)
        arrays = ours.encode_one(text)
        assert arrays["input_ids"].tolist() == [row.ids]
        assert arrays["token_type_ids"].tolist() == [row.type_ids]


def test_the_older_frame_of_bert_is_known_too() -> None:
    backend = build()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    cache = WordCache.of(backend, 64)
    assert cache is not None
    assert cache.ids("a bad sea").tolist() == [library_ids(backend, "a bad sea", 64)]


def test_a_text_cut_on_the_left_and_lengths_without_room_are_left_to_the_library() -> None:
    text = "a bad sea " * 4
    ours = Tokenizer(build(), max_length=5, pad_token_id=0, truncation_side="left")
    reference = build()
    reference.enable_truncation(5, direction="left")
    assert ours.encode_one(text)["input_ids"].tolist() == [reference.encode(text).ids]
    assert WordCache.of(build(), 1) is None


class Counting:
    """A backend that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.backend = build()
        self.backend.enable_truncation(64)

    def encode(self, text: str, **options: Any) -> Any:
        self.asked.append(text)
        return self.backend.encode(text, **options)


def test_the_library_is_asked_once_a_word() -> None:
    backend: Any = Counting()
    cache = WordCache(backend, 2, 3, 64)
    cache.ids("a bad bad sea")
    assert backend.asked == ["a", "bad", "sea"]
    cache.ids("sea  a")
    assert backend.asked == ["a", "bad", "sea", ""]


def test_long_words_and_words_of_many_tokens_are_not_kept() -> None:
    backend: Any = Counting()
    cache = WordCache(backend, 2, 3, 64)
    for word in ("k" * (MAX_CHARACTERS + 1), "!" * 9):
        assert cache.ids(word).tolist() == cache.ids(word).tolist()
        assert backend.asked == [word, word]
        backend.asked.clear()
    assert len(cache) == 0


def test_a_text_of_more_words_than_fit_is_read_at_once() -> None:
    backend: Any = Counting()
    text = "bad " * 70
    assert WordCache(backend, 2, 3, 64).ids(text).tolist() == [library_ids(build(), text, 64)]
    assert backend.asked == [text]


def test_the_words_kept_are_bounded_also_with_several_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(word_cache, "MAX_WORDS", 8)
    backend = build()
    cache = WordCache.of(backend, 64)
    assert cache is not None
    texts = [f"{a}{b} bad {b}{c}" for a in "abcd" for b in "sea" for c in "mk01"] * 4
    expected = [[library_ids(backend, text, 64)] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert [ids.tolist() for ids in pool.map(cache.ids, texts)] == expected
    assert 0 < len(cache) <= 8 + 4


@pytest.mark.shared
@pytest.mark.parametrize("data", ["sst2", "snips-intent"])
def test_real_texts_have_the_ids_of_the_library(data: str) -> None:
    shared = Path(os.environ.get("EDGEPRESS_SHARED", "../shared"))
    folder = shared / "models" / "minilm-sst2"
    files = sorted((shared / "data" / data).glob("*.csv"))
    if not (folder.is_dir() and files):
        pytest.skip(f"EDGEPRESS_SHARED ({shared}) holds no minilm-sst2 or no {data}")
    ours = Tokenizer.from_folder(folder)
    assert WordCache.of(ours.backend, ours.max_length) is not None
    for file in files:
        with file.open(encoding="utf-8", newline="") as lines:
            texts = [row["text"] for row in csv.DictReader(lines)]
        for text, row in zip(texts, ours.backend.encode_batch(texts), strict=True):
            assert ours.encode_one(text, ["input_ids"])["input_ids"].tolist() == [row.ids]
