"""The ids of words that a tokenizer has met before, for tokenizers that treat each word alone.

Between two runs of a model the caches of the CPU hold the model, and the `tokenizers` library needs
several times as long for a sentence as it does in a loop of its own. A look-up a word does not.

Why this is exact for what `WordCache.of` lets through. In order, the library

1. takes added tokens (`[MASK]`) out of the raw text: none of theirs holds a space or reaches for
   those beside it, and they match leftmost first, so that no match depends on another word;
2. normalizes (`BertNormalizer`): character by character, except for combining marks, which attach
   to what stands before them, and a space separates;
3. splits (`BertPreTokenizer`) at white space, of which a space is one, and around punctuation;
4. looks each piece up in the vocabulary (`WordPiece`) without regard to the others;
5. cuts the end off and puts one token in front and one behind.

So the ids of a text are those of its parts between spaces, and these come from the library. Nothing
but the plain space separates here: any other white space stays in its "word".
"""

import json
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

__all__ = ["MAX_CHARACTERS", "MAX_IDS", "MAX_WORDS", "WordCache"]

# Together these bound the memory: 5 MB when full of ordinary words, 11 MB at worst.
MAX_WORDS = 32_768
MAX_CHARACTERS = 32
MAX_IDS = 8

_INT64 = np.dtype(np.int64)


class WordCache:
    """Encodes single texts as their words' ids between a first and a last token.

    Several threads may call it, see `_KnownWords`.

    Args:
        backend: The tokenizer; it must not be reconfigured afterwards.
        first: Id in front of every text.
        last: Id behind every text.
        max_length: Most ids of a text, these two included; at least 2.
    """

    def __init__(self, backend: "Backend", first: int, last: int, max_length: int) -> None:
        self._backend = backend
        self._first = _pack([first])
        self._last = _pack([last])
        self._max_length = max_length
        # Bytes, because joining them is faster than making an array of Python numbers, and touches
        # a third of the memory, which is what the time goes into.
        self._known = _KnownWords(backend)
        self._bytes_of = self._known.__getitem__

    def __len__(self) -> int:
        """Return the number of words that are known."""
        return len(self._known)

    @classmethod
    def of(cls, backend: "Backend", max_length: int) -> "WordCache | None":
        """Return a cache for a tokenizer that truncates right; None where it may be inexact."""
        # Imported already: the backend is an object of this library.
        from tokenizers import models, normalizers, pre_tokenizers

        # The very classes, not derived ones: a normalizer written in Python may do anything.
        words_alone = (
            type(backend.model) is models.WordPiece
            and type(backend.pre_tokenizer) is pre_tokenizers.BertPreTokenizer
            and type(backend.normalizer) in (normalizers.BertNormalizer, type(None))
            and all(map(_within_a_word, backend.get_added_tokens_decoder().values()))
        )
        frame = _frame(backend.post_processor)
        if not words_alone or frame is None or max_length < len(frame):
            return None
        return cls(backend, *frame, max_length)

    def ids(self, text: str) -> NDArray[np.int64]:
        """Return what `backend.encode(text).ids` is, as an array (1, T)."""
        words = text.split(" ")
        if len(words) > self._max_length:  # most of it is cut, and need not be met word by word
            return np.array((self._backend.encode(text).ids,), dtype=_INT64)
        row = bytearray().join((self._first, *map(self._bytes_of, words), self._last))
        length = len(row) // _INT64.itemsize
        if length > self._max_length:
            length = self._max_length
            row[(length - 1) * _INT64.itemsize :] = self._last
        return np.ndarray((1, length), _INT64, row)


class _KnownWords(dict[str, bytes]):
    """Words with their ids as int64; an unknown word is encoded by the library when looked up.

    When full it is emptied rather than frozen: frequent words are back within a few hundred texts,
    whereas a frozen one would keep whatever came first, should the texts change.

    Several threads may look words up. Each operation on a dict (look-up, store, `clear`) is atomic,
    and the values are immutable and depend on the key alone, so the worst that a race does is to
    ask the library twice, or to exceed `MAX_WORDS` by the number of threads.
    """

    def __init__(self, backend: "Backend") -> None:
        super().__init__()
        self._encode = backend.encode

    def __missing__(self, word: str) -> bytes:
        ids = self._encode(word, add_special_tokens=False).ids
        packed = _pack(ids)
        if len(word) <= MAX_CHARACTERS and len(ids) <= MAX_IDS:
            if len(self) >= MAX_WORDS:
                self.clear()
            self[word] = packed
        return packed


def _pack(ids: list[int]) -> bytes:
    return array("q", ids).tobytes()


def _within_a_word(token: Any) -> bool:
    """Return whether an `AddedToken` is found by looking at one word, as it was written."""
    plain = token.special and " " not in token.content
    return plain and not (token.normalized or token.single_word or token.lstrip or token.rstrip)


def _frame(processor: Any) -> tuple[int, int] | None:
    """Return the ids around a text where these are one in front and one behind, both of type 0."""
    if processor is None:
        return None
    # The library's parts pickle as their JSON, the same that tokenizer.json holds.
    match json.loads(processor.__getstate__()):
        case {"type": "BertProcessing", "cls": [_, int(first)], "sep": [_, int(last)]}:
            return first, last
        case {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": opening, "type_id": 0}},
                {"Sequence": {"type_id": 0}},
                {"SpecialToken": {"id": closing, "type_id": 0}},
            ],
            "special_tokens": dict(tokens),
        }:
            match tokens.get(opening), tokens.get(closing):
                case {"ids": [int(first)]}, {"ids": [int(last)]}:
                    return first, last
    return None
