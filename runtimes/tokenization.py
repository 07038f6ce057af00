"""Text to arrays through the `tokenizers` library alone, with the ids of Transformers."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtimes.base import TextInput
from runtimes.cutting import Beginning, Cutter, shifted
from runtimes.errors import ArtifactError, DataError, MissingDependencyError
from runtimes.hf_config import HfConfig, read_hf_config
from runtimes.json_files import Contents
from runtimes.word_cache import WordCache

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Backend

__all__ = [
    "INPUT_NAMES",
    "Rows",
    "TextTokenizer",
    "Tokenizer",
    "check_questions",
    "whole_characters",
    "window_overlap",
    "with_whole_characters",
]

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
# A row of ones is made of these: unlike np.ones, it runs no Python, which is slow when it is not in
# the CPU's caches. (It is made anew each time because OpenVINO refuses read-only arrays.)
_ONE = np.int64(1).tobytes()

# Of each token of `max_length`, read at first: ordinary text has 3 to 6.
_CHARACTERS = 8

# No encoding, and so no tokenizer, has these.
_HALVES = re.compile("[\ud800-\udfff]")
# What the library and the encoders of Python raise for them.
_NOT_TEXT = (TypeError, UnicodeError)


class TextTokenizer(Protocol):
    """What a `Predictor` needs of a tokenizer.

    Attributes:
        max_length: Most tokens of an input, special tokens included.
        pad_token_id: Fills shorter rows.
        subword_prefix: What tokens begin with that continue a word, if they have such a mark.
        unknown_token: What stands for text that has no token, if anything does.
    """

    max_length: int
    pad_token_id: int
    subword_prefix: str | None
    unknown_token: str | None

    def encode(
        self, inputs: Sequence[TextInput], names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """B texts or pairs to one int64 (B, T) array a name, padded to the longest."""
        ...

    def encode_one(
        self, text: TextInput, names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """Return the same as `encode([text], names)`, by the shortest way."""
        ...

    def rows(self, inputs: Sequence[TextInput], *, offsets: bool = False) -> "Rows":
        """N texts or pairs tokenized once, from which batches are put together.

        Args:
            inputs: N strings or pairs of strings.
            offsets: Whether to keep what says where in the text each token stands.
        """
        ...

    def truncated(self, inputs: Sequence[TextInput]) -> list[bool]:
        """Return, for N texts or pairs, which of them are cut to `max_length`."""
        ...

    def decode(self, tokens: list[str]) -> str:
        """Tokens as text."""
        ...

    def token(self, index: int) -> str:
        """Return the token with an id."""
        ...


@dataclass(frozen=True)
class Rows:
    """Tokenized inputs of which batches are made; each list has N rows of their own lengths.

    Attributes:
        columns: By name (`input_ids` ...), the rows.
        padding: By name, what fills shorter rows on the right.
        encodings: What the library knows of each row, such as where in the text each token stands;
            only where it was asked for.
        items: By row, the input that it belongs to, where that was asked for.
    """

    columns: Mapping[str, Sequence[Sequence[int]]]
    padding: Mapping[str, int]
    encodings: "Sequence[Encoding]" = ()
    items: Sequence[int] = ()

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) numbers of tokens after truncation, special tokens included."""
        return np.array([len(row) for row in self.columns["input_ids"]], dtype=np.int64)

    def batch(
        self, indices: Sequence[int], names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """B of the rows as one int64 (B, T) array a name, padded to the longest of them."""
        shape = (len(indices), max((int(self.lengths[i]) for i in indices), default=0))
        arrays = {}
        for name in names:
            array = np.full(shape, self.padding[name], dtype=np.int64)
            for target, index in zip(array, indices, strict=True):
                row = self.columns[name][index]
                target[: len(row)] = row
            arrays[name] = array
        return arrays


class Tokenizer:
    """A `tokenizers` tokenizer with truncation and right padding.

    Of long texts only as much is read as `max_length` tokens need, where `runtimes.cutting` knows
    that this is exact: not of texts that are cut on the left, and not of contexts, whose windows
    need all of it.

    Half of a surrogate pair is read as U+FFFD, the character for what is none.

    Args:
        backend: The tokenizer; its own truncation and padding settings are overruled, and it must
            not be reconfigured afterwards.
        max_length: Longest output in tokens, special tokens included; a pair is cut at whichever
            half is longer (`"longest_first"`).
        pad_token_id: Fills `input_ids` of shorter rows.
        pad_type_id: Fills `token_type_ids` of shorter rows.
        truncation_side: `"right"` drops the end of a text, `"left"` its beginning.
        windows: Cut the second text of a long pair into windows that overlap, a row each, instead
            of cutting texts off.
    """

    def __init__(
        self,
        backend: "Backend",
        *,
        max_length: int,
        pad_token_id: int,
        pad_type_id: int = 0,
        truncation_side: str = "right",
        windows: bool = False,
    ) -> None:
        self.backend = backend
        self.max_length = max_length
        self.pad_token_id = pad_token_id
        self.pad_type_id = pad_type_id
        # Padding is done here, in numpy: in the backend it would be state that two threads share.
        backend.no_padding()
        self._windows = windows
        if windows:
            stride = window_overlap(max_length)
            backend.enable_truncation(max_length, strategy="only_second", stride=stride)
        else:
            backend.enable_truncation(
                max_length, strategy="longest_first", direction=truncation_side
            )
        self.subword_prefix = getattr(backend.model, "continuing_subword_prefix", None)
        self.unknown_token = getattr(backend.model, "unk_token", None)
        right = truncation_side == "right" and not windows
        self._words = WordCache.of(backend, max_length) if truncation_side == "right" else None
        self._cutter = Cutter.of(backend) if right else None
        self._enough = max(2048, _CHARACTERS * max_length)

    @classmethod
    def from_folder(
        cls,
        folder: str | os.PathLike[str],
        *,
        max_length: int | None = None,
        pad_token_id: int | None = None,
        windows: bool = False,
        contents: Contents | None = None,
    ) -> "Tokenizer":
        """Read `tokenizer.json`, and what is not given from the configuration files beside it.

        Args:
            folder: Holds them.
            max_length: As of the class; so are `pad_token_id` and `windows`.
            pad_token_id: Fills `input_ids` of shorter rows.
            windows: Whether to cut long pairs into windows.
            contents: Where the files are looked up; None: on the disk.

        Raises:
            ArtifactError: There is no readable `tokenizer.json`.
            MissingDependencyError: The `tokenizers` package is not installed.
        """
        try:
            from tokenizers import Tokenizer as Backend
        except ImportError as error:
            raise MissingDependencyError(
                f"The package tokenizers cannot be imported: {error}.",
                hint="Install it: pip install tokenizers",
            ) from error
        path = Path(folder) / "tokenizer.json"
        if not path.is_file() if contents is None else path not in contents:
            raise ArtifactError(
                f"{folder} has no tokenizer.json.",
                hint="Write one from the original tokenizer: "
                "AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)",
            )
        try:
            if contents is None:
                backend = Backend.from_file(str(path))
            else:
                backend = Backend.from_buffer(contents[path])
        except Exception as error:
            raise ArtifactError(f"{path} is not a readable tokenizer: {error}.") from error
        config = read_hf_config(folder, contents)
        padding = backend.padding or {}
        truncation = backend.truncation or {}
        type_id = config.tokenizer.get("pad_token_type_id")
        if type_id is None:
            type_id = padding.get("pad_type_id", 0)
        return cls(
            backend,
            max_length=config.max_length if max_length is None else max_length,
            pad_token_id=(
                _pad_token_id(backend, config, padding) if pad_token_id is None else pad_token_id
            ),
            pad_type_id=type_id,
            truncation_side=str(
                config.tokenizer.get("truncation_side", truncation.get("direction", "right"))
            ).lower(),
            windows=windows,
        )

    def encode(
        self, inputs: Sequence[TextInput], names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """Encode B texts or (first, second) pairs, padded on the right to the longest of them.

        Args:
            inputs: B strings or pairs of strings.
            names: Arrays to build, of `input_ids`, `attention_mask`, `token_type_ids`.

        Returns:
            One int64 (B, T) array a name.
        """
        if len(inputs) == 1:
            return self.encode_one(inputs[0], names)
        return self.rows(inputs).batch(range(len(inputs)), names)

    def encode_one(
        self, text: TextInput, names: Sequence[str] = INPUT_NAMES
    ) -> dict[str, NDArray[np.int64]]:
        """Encode one text or pair: int64 (1, T) arrays, straight from the ids."""
        arrays: dict[str, NDArray[np.int64]] = {}
        if self._words is not None and isinstance(text, str) and len(text) <= self._enough:
            try:
                ids = self._words.ids(text)
            except _NOT_TEXT:
                ids = self._words.ids(whole_characters(text))
            for name in names:
                if name == "input_ids":
                    arrays[name] = ids
                elif name == "attention_mask":  # nothing is padding
                    arrays[name] = np.ndarray(ids.shape, ids.dtype, bytearray(_ONE * ids.size))
                else:  # all of it is the first text
                    arrays[name] = np.zeros(ids.shape, ids.dtype)
            return arrays
        row = self._encoding(text)
        for name in names:
            if name == "input_ids":
                values = row.ids
            elif name == "attention_mask":
                values = row.attention_mask
            else:
                values = row.type_ids
            arrays[name] = np.array((values,), dtype=np.int64)
        return arrays

    def rows(self, inputs: Sequence[TextInput], *, offsets: bool = False) -> Rows:
        """N texts or pairs tokenized once; see `TextTokenizer.rows`.

        Raises:
            DataError: The first text of a pair leaves no room for windows of the second.
        """
        if self._windows:
            check_questions(
                self.backend,
                [pair[0] for pair in inputs if not isinstance(pair, str)],
                self.max_length,
            )
        rows = self._encodings(inputs, offsets=offsets)
        items: Sequence[int] = range(len(rows))
        if offsets and self._windows:
            items = [i for i, row in enumerate(rows) for _ in (row, *row.overflowing)]
            rows = [part for row in rows for part in (row, *row.overflowing)]
        return Rows(
            {
                "input_ids": [row.ids for row in rows],
                "attention_mask": [row.attention_mask for row in rows],
                "token_type_ids": [row.type_ids for row in rows],
            },
            {
                "input_ids": self.pad_token_id,
                "attention_mask": 0,
                "token_type_ids": self.pad_type_id,
            },
            rows if offsets else (),
            items,
        )

    def truncated(self, inputs: Sequence[TextInput]) -> list[bool]:
        """Return, for N texts or pairs, which of them are cut to `max_length`; see
        `TextTokenizer.truncated`."""
        if self._windows:
            return [False] * len(inputs)
        return [bool(row.overflowing) for row in self._encodings(inputs, offsets=True)]

    def _encodings(self, inputs: Sequence[TextInput], *, offsets: bool) -> "list[Encoding]":
        """Encode N texts or pairs; without `offsets` the library may leave these out."""
        short = [item for item in inputs if self._is_short(item)]
        if len(inputs) == 1 or not short:  # without the threads of a batch
            return [self._encoding(item) for item in inputs]
        backend = self.backend
        encode = backend.encode_batch if offsets else backend.encode_batch_fast
        try:
            found = iter(encode(short))
        except _NOT_TEXT:
            found = iter(encode([with_whole_characters(item) for item in short]))
        return [next(found) if self._is_short(i) else self._encoding(i) for i in inputs]

    def _is_short(self, item: TextInput) -> bool:
        texts = (item,) if isinstance(item, str) else item
        return self._cutter is None or max(map(len, texts)) <= self._enough

    def _encoding(self, item: TextInput) -> "Encoding":
        """Return what the library makes of a text or a pair, by reading no more than is needed."""
        try:
            return self._read(item)
        except _NOT_TEXT:
            return self._read(with_whole_characters(item))

    def _read(self, item: TextInput) -> "Encoding":
        encode = self.backend.encode
        if self._cutter is None or self._is_short(item):
            return encode(item) if isinstance(item, str) else encode(*item)
        if isinstance(item, str):
            for beginning in self._cutter.beginnings(item, self._enough):
                row = encode(beginning.text)
                if row.overflowing:  # there are more tokens than are kept
                    break
            return shifted(row, [beginning])
        beginnings = [self._cutter.beginnings(text, self._enough) for text in item]
        first, second = (_Growing(each, self._count, self.max_length) for each in beginnings)
        while (unsettled := self._unsettled(first, second)) is not None:
            unsettled.grow()
        # The library makes something of all that it drops, in pairs: give it as little as will do.
        if first.tokens > second.tokens:
            other = second.enough()
            one = first.enough(more_than=other[1])
        else:
            one = first.enough()
            other = second.enough(more_than=one[1] - 1)
        row = encode(one[0].text, other[0].text)
        return shifted(row, [one[0], other[0]])

    def _unsettled(self, first: "_Growing", second: "_Growing") -> "_Growing | None":
        """Return which text of a pair has to be read further, until it is known what is kept.

        That depends on which one has more tokens; of two that fill the input alone, only if what
        they share is odd.
        """
        for one, other in ((first, second), (second, first)):
            known = other.tokens if other.whole else 0
            if not one.whole and one.tokens <= max(self.max_length, known):
                return one
        room = self.max_length - self.backend.num_special_tokens_to_add(True)
        if room % 2 and not (first.whole or second.whole):
            return min(first, second, key=lambda one: one.tokens)
        return None

    def _count(self, text: str) -> int:
        row = self.backend.encode(text, add_special_tokens=False)
        return len(row.ids) + sum(len(rest.ids) for rest in row.overflowing)

    def decode(self, tokens: list[str]) -> str:
        """Tokens as text."""
        decoder = self.backend.decoder
        return " ".join(tokens) if decoder is None else str(decoder.decode(tokens))

    def token(self, index: int) -> str:
        """Return the token with an id."""
        return self.backend.id_to_token(index) or ""


def whole_characters(text: str) -> str:
    """Return text with U+FFFD in place of each half of a surrogate pair, at the same places.

    Such halves come of JSON that was cut within an emoji; no encoding can write them.
    """
    return _HALVES.sub("\ufffd", text)


def with_whole_characters(item: TextInput) -> TextInput:
    """Return a text or a pair with `whole_characters`."""
    if isinstance(item, str):
        return whole_characters(item)
    return whole_characters(item[0]), whole_characters(item[1])


class _Growing:
    """A text of a pair, read so far.

    Args:
        beginnings: Its beginnings, each longer than the last.
        count: Gives the tokens of a text.
        most: Tokens that fill an input.
    """

    def __init__(
        self, beginnings: Iterator[Beginning], count: Callable[[str], int], most: int
    ) -> None:
        self._left = beginnings
        self._count = count
        self._most = most
        self._read: list[tuple[Beginning, int]] = []
        self.grow()

    @property
    def whole(self) -> bool:
        """Whether nothing is left to read."""
        return self._read[-1][0].whole

    @property
    def tokens(self) -> int:
        """Tokens of what was read."""
        return self._read[-1][1]

    def grow(self) -> None:
        """Read some more."""
        beginning = next(self._left)
        self._read.append((beginning, self._count(beginning.text)))

    def enough(self, more_than: int = 0) -> tuple[Beginning, int]:
        """Return the shortest beginning that fills an input and has more tokens than that, with
        their number; what was read where none has."""
        most = max(more_than, self._most)
        return next((each for each in self._read if each[1] > most), self._read[-1])


def window_overlap(max_length: int) -> int:
    """Tokens that neighbouring windows share: what Transformers takes."""
    return min(max_length // 2, 128)


def check_questions(backend: "Backend", questions: Sequence[str], max_length: int) -> None:
    """Refuse questions beside which a window would not hold more than what windows share.

    Args:
        backend: As it tokenizes pairs.
        questions: The first texts of pairs.
        max_length: Tokens of a window.

    Raises:
        DataError: Names the first such question.
    """
    room = max_length - window_overlap(max_length) - backend.num_special_tokens_to_add(True) - 1
    for question in map(whole_characters, questions):
        if len(question.encode()) <= room:  # a token is a byte at least
            continue
        length = _tokens_up_to(backend, question, room, max_length)
        if length > room:
            raise DataError(
                f"The question {question!r:.60} is too long: a window of {max_length} tokens, "
                f"question and context, leaves it {max(room, 0)}."
            )


def _tokens_up_to(backend: "Backend", text: str, most: int, max_length: int) -> int:
    """Return the number of a text's tokens, or of those of a beginning with more than `most`."""
    size = _CHARACTERS * max_length
    cutter = Cutter.of(backend) if len(text) > size else None
    whole = [Beginning(text, True)]
    parts: Iterable[Beginning] = whole if cutter is None else cutter.beginnings(text, size)
    length = 0
    for part in parts:
        try:
            length = len(backend.encode(part.text, add_special_tokens=False).ids)
        except Exception:  # noqa: BLE001 - what the backend raises; it does not even fit into a window alone
            length = max_length
        if length > most:
            break
    return length


def _pad_token_id(backend: "Backend", config: HfConfig, padding: dict[str, Any]) -> int:
    """Return the padding id of Transformers: the tokenizer's word goes before the model's."""
    token = config.tokenizer.get("pad_token")
    if isinstance(token, dict):
        token = token.get("content")
    candidates = (
        backend.token_to_id(token) if isinstance(token, str) else None,
        padding.get("pad_id"),
        config.pad_token_id,
    )
    return next((int(found) for found in candidates if found is not None), 0)
