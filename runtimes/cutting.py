"""Where a long text may end without a change to the tokens that come first.

The `tokenizers` library reads all of a text before it cuts it to `max_length`: 10 MB take seconds
and gigabytes. `Cutter` finds a beginning of the text that has the same first tokens. Why it has, in
the order in which the library works:

1. Added tokens (`[MASK]`) are looked for in the raw text, leftmost first. None of theirs may lie
   across the cut, or take white space on its left across it.
2. The normalizer maps characters, and combining marks belong to what stands before them. The cut is
   in front of a character that combines with nothing, and no pattern of a `Replace` lies across it.
3. The pre-tokenizer splits at the cut, for it splits in front of that character in any text.
4. The model looks at each piece alone.

`Cutter.of` says for which tokenizers that holds. Two kinds of cut are known:

- In front of white space that stands behind something else: for pre-tokenizers that split at white
  space (BERT's, RoBERTa's, ModernBERT's, and SentencePiece's, which split at the plain space).
- For BERT's own parts also in front of punctuation and of Chinese characters.

Where a tokenizer has other parts, and where a text has no such place (Chinese for SentencePiece,
ten megabytes of one word for byte-level BPE), all of it is read.

What BERT's parts take for one word is `[UNK]` from some length on, however long it is, and white
space is nothing. So stretches of letters, of white space and of one character are left out of the
middle of a text, whatever their length.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Backend

__all__ = ["Beginning", "Cutter", "shifted"]

# What a cut is in front of, for BERT's parts: none of these is removed or combined with what stands
# before it, and each is a piece of its own or between pieces.
_SEPARATORS = (
    " \t\n\r\u3000!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f"
)
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"

# Letters and digits that every normalizer of BERT keeps, each as one character at least.
_LETTERS = (
    "0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0391-\u03a1\u03a3-\u03c9\u0410-\u044f"
    "\u05d0-\u05ea\u0621-\u063a\u0641-\u064a\u3041-\u3096\u30a1-\u30fa\uac00-\ud7a3"
)
_STRETCHES = (re.compile(f"[{_LETTERS}]+"), re.compile("[ \t\n\r]+"))
# A stretch is shortened to so many characters or more.
_KEPT = 1024
# Places that are looked at before a text is taken for one that cannot be cut.
_TRIED = 64

# Pieces of white space, as it is before and after normalizing.
_ACROSS = re.compile(r"[^\s\u2581][\s\u2581]")

# Normalizers that map characters one by one, or do what no cut in front of white space meets.
_NORMALIZERS = {
    "BertNormalizer",
    "ByteLevel",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Precompiled",
    "Prepend",
    "Strip",
    "StripAccents",
}
_RUNS_OF_SPACE = {" {2,}", " +", r"\s+", r"\s{2,}"}
_SPLITTING = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_HARMLESS = {"Digits"}


@dataclass(frozen=True)
class Beginning:
    """The first part of a text, perhaps with stretches left out.

    Attributes:
        text: What is left of it.
        whole: Whether nothing was cut off its end.
        gaps: (place in `text`, characters left out there), in their order.
    """

    text: str
    whole: bool
    gaps: tuple[tuple[int, int], ...] = ()

    def place(self, place: int) -> int:
        """Return where in the whole text a place of `text` is."""
        # Whatever touches a gap belongs to the stretch that it was left out of.
        return place + sum(left_out for start, left_out in self.gaps if start <= place)


class _Shifted:
    """An encoding of texts with gaps: its offsets are those of the texts without them."""

    def __init__(self, encoding: "Encoding", beginnings: Sequence[Beginning]) -> None:
        self._encoding = encoding
        self.offsets = [
            (start, end)
            if sequence is None
            else (beginnings[sequence].place(start), beginnings[sequence].place(end))
            for sequence, (start, end) in zip(encoding.sequence_ids, encoding.offsets, strict=True)
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoding, name)


def shifted(encoding: "Encoding", beginnings: Sequence[Beginning]) -> "Encoding":
    """Return the encoding of one or two beginnings with the offsets of the whole texts."""
    if not any(beginning.gaps for beginning in beginnings):
        return encoding
    return cast("Encoding", _Shifted(encoding, beginnings))


class Cutter:
    """Finds where texts of one tokenizer may be cut.

    Args:
        backend: The tokenizer; it must not be reconfigured afterwards.
        pattern: Matches the character that a cut is in front of.
        word_limit: Characters from which on a piece is `[UNK]`, where stretches may be left out.
    """

    def __init__(
        self, backend: "Backend", pattern: re.Pattern[str], word_limit: int | None = None
    ) -> None:
        self._backend = backend
        self._pattern = pattern
        self._word_limit = word_limit
        contents = [token.content for token in backend.get_added_tokens_decoder().values()]
        # A token that is anywhere in a stretch begins in it.
        self._first = {content[:1] for content in contents}
        self._kept = max(_KEPT, (word_limit or 0) + 1, *map(len, contents))
        self._stretches = [s for s in _STRETCHES if not any(map(s.match, self._first))]

    @classmethod
    def of(cls, backend: "Backend") -> "Cutter | None":
        """Return what cuts texts of a tokenizer; None where no cut is known to be exact."""
        if (own := _of_bert(backend)) is not None:
            return cls(backend, *own)
        splitting = _splits_at(backend.pre_tokenizer)
        if (
            splitting is None
            or not _keeps_cuts(backend.normalizer)
            or not _alone(backend.model)
            or any(_ACROSS.search(c) for c in _added_contents(backend))
        ):
            return None
        return cls(backend, re.compile(rf"(?<=\S)[{splitting}]"))

    def beginnings(self, text: str, size: int) -> Iterator[Beginning]:
        """Go through beginnings of a text, each longer than the last by a multiple; the last is
        the whole of it.

        Args:
            text: Any text.
            size: Characters of the first one, at least.
        """
        gaps: list[tuple[int, int]] = []
        while size < len(text):
            if left_out := self._stretch(text, size):
                gaps.append((size, left_out))
                text = text[:size] + text[size + left_out :]
                continue
            place = self._place(text, size)
            # A stretch that began a short way before is known as one further on.
            further = size + self._kept
            if (
                (place is None or place > further)
                and len(gaps) < _TRIED
                and (left_out := self._stretch(text, further))
            ):
                size = further
                gaps.append((size, left_out))
                text = text[:size] + text[size + left_out :]
                continue
            if place is None:
                break
            yield Beginning(text[:place], False, tuple(gaps))
            size = 4 * place
        yield Beginning(text, True, tuple(gaps))

    def _place(self, text: str, start: int) -> int | None:
        """Return the first place from `start` on where the text may be cut."""
        for match in islice(self._pattern.finditer(text, start), _TRIED):
            place = match.start()
            if self._word_limit is not None or self._is_kept(text[place - 1 : place + 1]):
                return place
        return None

    def _is_kept(self, pair: str) -> bool:
        """Return whether the two characters around a cut are still apart when normalized."""
        normalizer = self._backend.normalizer
        if normalizer is None:
            return True
        before, both = normalizer.normalize_str(pair[0]), normalizer.normalize_str(f"{pair}x")
        return (
            before != ""
            and both[:-2] == before
            and both[-1] == "x"
            and _ACROSS.fullmatch(both[-3:-1]) is not None
        )

    def _stretch(self, text: str, start: int) -> int:
        """Return how many characters from `start` on add nothing to those before them."""
        if self._word_limit is None or not self._kept <= start < len(text):
            return 0
        before = text[start - self._kept : start]
        for stretch in self._stretches:
            if (match := stretch.match(text, start)) and stretch.fullmatch(before):
                return match.end() - start
        own = text[start]
        if before == len(before) * own and own not in self._first and self._is_one_piece(2 * own):
            behind = text[start:]
            return len(behind) - len(behind.lstrip(own))
        return 0

    def _is_one_piece(self, text: str) -> bool:
        backend = self._backend
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        return len(backend.pre_tokenizer.pre_tokenize_str(text)) <= 1


def _of_bert(backend: "Backend") -> tuple[re.Pattern[str], int] | None:
    """Return what a cut is in front of and the longest word, for tokenizers of BERT's parts."""
    # Imported already: the backend is an object of this library.
    from tokenizers import models, normalizers, pre_tokenizers

    model: Any = backend.model
    normalizer: Any = backend.normalizer
    # The very classes, not derived ones: a normalizer written in Python may do anything.
    if not (
        type(model) is models.WordPiece
        and type(backend.pre_tokenizer) is pre_tokenizers.BertPreTokenizer
        and type(normalizer) in (normalizers.BertNormalizer, type(None))
    ):
        return None
    tokens = backend.get_added_tokens_decoder().values()
    if any(t.normalized or t.single_word or t.lstrip or t.rstrip for t in tokens):
        return None
    # A token that lies across a cut has what is behind the cut in it.
    inside = {character for token in tokens for character in token.content[1:]}
    separators = "".join(re.escape(c) for c in _SEPARATORS if c not in inside)
    if normalizer is not None and normalizer.handle_chinese_chars:
        chinese = re.compile(f"[{_CHINESE}]")
        separators += "" if any(map(chinese.match, inside)) else _CHINESE
    return re.compile(f"[{separators}]"), model.max_input_chars_per_word


def _splits_at(pre_tokenizer: Any) -> str | None:
    """Return the white space at which a pre-tokenizer surely splits; None where there is none."""
    found = None
    for part in _parts(pre_tokenizer, "pretokenizers"):
        match part:
            case {"type": "ByteLevel", "use_regex": True}:
                found = " \t\n\r"
            case {"type": str(name)} if name in _SPLITTING:
                found = " \t\n\r"
            case {"type": "Metaspace", "split": True}:
                found = found or " "
            case {"type": "Punctuation", "behavior": "Isolated" | "Removed" | "Contiguous"}:
                pass
            case {"type": str(name)} if name in _HARMLESS:
                pass
            case {"type": "ByteLevel"} if found is not None:
                pass
            case _:
                return None
    return found


def _keeps_cuts(normalizer: Any) -> bool:
    """Return whether a normalizer leaves what is before a cut alone, whatever comes behind."""
    for part in _parts(normalizer, "normalizers"):
        match part:
            case {"type": "Replace", "pattern": {"String": str(pattern)}}:
                if _ACROSS.search(pattern):
                    return False
            case {"type": "Replace", "pattern": {"Regex": str(pattern)}}:
                if pattern not in _RUNS_OF_SPACE:
                    return False
            case {"type": str(name)} if name in _NORMALIZERS:
                pass
            case _:
                return False
    return True


def _parts(whole: Any, name: str) -> Sequence[Any]:
    """Return a part of a tokenizer as JSON, or the parts that it is a sequence of."""
    if whole is None:
        return ()
    try:
        # The library's parts pickle as their JSON, the same that tokenizer.json holds.
        content = json.loads(whole.__getstate__())
    except Exception:  # noqa: BLE001 - written in Python, by whom the library lets do anything
        return (None,)
    if content.get("type") != "Sequence":
        return (content,)
    return [part for each in content[name] for part in _flat(each, name)]


def _flat(part: Any, name: str) -> list[Any]:
    if part.get("type") != "Sequence":
        return [part]
    return [inner for each in part[name] for inner in _flat(each, name)]


def _alone(model: Any) -> bool:
    """Return whether a model always gives a piece the same tokens."""
    return not getattr(model, "dropout", None)


def _added_contents(backend: "Backend") -> list[str]:
    """Return what is looked for in texts as written, and as normalized."""
    contents = [token.content for token in backend.get_added_tokens_decoder().values()]
    normalizer = backend.normalizer
    if normalizer is not None:
        contents += [normalizer.normalize_str(content) for content in contents]
    return contents
