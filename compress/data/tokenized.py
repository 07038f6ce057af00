"""Texts as token ids: tokenized once, grouped by length into batches, padded only where needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.errors import UsageError
from runtimes.registry import DEFAULT_TASK, get_task
from runtimes.tasks.question_answering import context_tokens
from runtimes.tasks.token_classification import word_tokens
from runtimes.tokenization import check_questions, window_overlap

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "TokenizedTexts",
    "collate",
    "kept_length",
    "length_grouped_batches",
    "tokenize",
    "without_label",
]

_LONGEST = 512  # tokens that a model takes whose config does not say it

NO_LABEL = -1
"""The label of a text that has none; losses ignore it."""


def kept_length(wanted: int | None, config: Any, tokenizer: Any, task: str = DEFAULT_TASK) -> int:
    """Tokens kept of a text: what was asked for, as far as the model goes; else what model and
    tokenizer allow, and of questions no more than is usual for a window.

    Raises:
        UsageError: More is asked for than the model has positions.
    """
    positions = getattr(config, "max_position_embeddings", _LONGEST)
    if wanted is not None and wanted > positions:
        raise UsageError(f"max_length={wanted}, but the model has {positions} positions")
    longest = get_task(task).SPEC.longest
    return int(wanted or min(positions, tokenizer.model_max_length, longest))


@dataclass(frozen=True)
class TokenizedTexts:
    """N texts as token ids, without padding.

    Attributes:
        ids: N arrays (T_i,) int32, with the tokenizer's special tokens.
        type_ids: N arrays (T_i,) int8, or None when every token has type 0.
        labels: (N,) int64, `NO_LABEL` where a text has none; or None when no text has one. Where
            every word has a label, (M,) of all words, text after text; of several labels a text
            (N, C) int64; of regression (N,) float64, NaN where a text has none.
        word_tokens: N arrays, the index of each labelled word's first token, -1 where it was cut
            off; None where texts have labels, not words.
        allowed: Of questions, N arrays (T_i,) of where an answer may start and end (in the context,
            and at the first token: no answer); a long context is several texts. Labels are then (2
            N,), the tokens at which each answer starts and ends.
    """

    ids: Sequence[NDArray[np.int32]]
    type_ids: Sequence[NDArray[np.int8]] | None = None
    labels: NDArray[Any] | None = None
    word_tokens: Sequence[NDArray[np.int64]] | None = None
    allowed: Sequence[NDArray[np.bool_]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text."""
        return np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))

    def decisions(self, indices: Iterable[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of all decisions are those of the texts at `indices`: one a text, one a word, or
        start and end of an answer."""
        if self.allowed is not None:
            first = 2 * np.fromiter(indices, dtype=np.int64)
            return np.stack([first, first + 1], axis=1).ravel()
        if self.word_tokens is None:
            return np.fromiter(indices, dtype=np.int64)
        parts = [np.arange(self._starts[int(i)], self._starts[int(i) + 1]) for i in indices]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    @cached_property
    def decision_count(self) -> int:
        """All decisions: N, M where every word has a label, or 2 N of questions."""
        if self.allowed is not None:
            return 2 * len(self)
        return len(self) if self.word_tokens is None else int(self._starts[-1])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(N + 1,) where each text's words start among all words."""
        assert self.word_tokens is not None  # callers have looked
        return np.cumsum([0, *map(len, self.word_tokens)])

    def take(self, indices: Iterable[int] | NDArray[np.int64]) -> "TokenizedTexts":
        """The texts at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        words = self.word_tokens
        return TokenizedTexts(
            ids=[self.ids[i] for i in chosen],
            type_ids=None if self.type_ids is None else [self.type_ids[i] for i in chosen],
            labels=None if self.labels is None else self.labels[self.decisions(chosen)],
            word_tokens=None if words is None else [words[i] for i in chosen],
            allowed=None if self.allowed is None else [self.allowed[i] for i in chosen],
        )

    def without_labels(self) -> "TokenizedTexts":
        """These texts, their labels forgotten."""
        return TokenizedTexts(self.ids, self.type_ids)

    def followed_by(self, other: "TokenizedTexts") -> "TokenizedTexts":
        """These texts and then `other`'s; types and labels that one side lacks are filled in."""
        type_ids: list[NDArray[np.int8]] | None = None
        if self.type_ids is not None or other.type_ids is not None:
            type_ids = [*_types(self), *_types(other)]
        words: list[NDArray[np.int64]] | None = None
        if self.word_tokens is not None or other.word_tokens is not None:
            words = [*_words(self), *_words(other)]
        labels: NDArray[Any] | None = None
        known = other.labels if self.labels is None else self.labels
        if self.allowed is not None or other.allowed is not None:
            known = None  # of generated questions nobody knows where answers stand
        if known is not None:
            labels = np.concatenate(
                [_labels(part, known, of_words=words is not None) for part in (self, other)]
            )
        return TokenizedTexts([*self.ids, *other.ids], type_ids, labels, words)


def _types(texts: TokenizedTexts) -> Sequence[NDArray[np.int8]]:
    if texts.type_ids is not None:
        return texts.type_ids
    return [np.zeros(len(ids), dtype=np.int8) for ids in texts.ids]


def _words(texts: TokenizedTexts) -> Sequence[NDArray[np.int64]]:
    if texts.word_tokens is not None:
        return texts.word_tokens
    return [np.zeros(0, dtype=np.int64)] * len(texts)


def without_label(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(M,) where a label is missing."""
    if labels.dtype.kind == "f":
        return np.asarray(np.isnan(labels))
    return np.asarray((labels if labels.ndim == 1 else labels[:, 0]) == NO_LABEL)


def _labels(texts: TokenizedTexts, alike: NDArray[Any], *, of_words: bool) -> NDArray[Any]:
    """The texts' labels, or none for each of them, in the form of others."""
    if texts.labels is not None:
        return texts.labels
    # A text without words that have labels has none of them.
    count = sum(map(len, texts.word_tokens or ())) if of_words else len(texts)
    none = np.nan if alike.dtype.kind == "f" else NO_LABEL
    return np.full((count, *alike.shape[1:]), none, dtype=alike.dtype)


def tokenize(
    examples: Examples, tokenizer: "PreTrainedTokenizerBase", max_length: int
) -> TokenizedTexts:
    """Tokenize labelled texts or pairs in one call.

    Args:
        examples: N texts.
        tokenizer: The checkpoint's own.
        max_length: Tokens kept of a text, special tokens included; pairs lose tokens of the
            longer sentence first.
    """
    if examples.answers is not None:
        return _questions(examples, tokenizer, max_length)
    columns: list[list[str]] = [list(examples.texts)]
    if examples.pairs is not None:
        columns.append(list(examples.pairs))
    encoded: Any = tokenizer(
        *columns,
        truncation=True,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=examples.pairs is not None,
    )
    words = None
    places = getattr(get_task(examples.task), "places", None)
    if places is not None and examples.words is not None:
        words = [
            _read(places(row), int(count))
            for row, count in zip(encoded.encodings, examples.words, strict=True)
        ]
    elif examples.words is not None:
        words = [
            word_tokens(text, row.offsets, row.special_tokens_mask)
            for text, row in zip(examples.texts, encoded.encodings, strict=True)
        ]
    types = encoded.get("token_type_ids")
    if types is not None and not any(any(row) for row in types):
        types = None  # families without token types
    return TokenizedTexts(
        ids=[np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]],
        type_ids=None if types is None else [np.asarray(row, dtype=np.int8) for row in types],
        labels=_of_texts(examples),
        word_tokens=words,
    )


def _read(places: Sequence[int], count: int) -> NDArray[np.int64]:
    """Return (count,) indices of a text's tokens that have labels, -1 for those cut off."""
    found = np.full(count, -1, dtype=np.int64)
    own = places[:count]
    found[: len(own)] = own
    return found


def _of_texts(examples: Examples) -> NDArray[Any]:
    """The labels of texts; a score that belongs to two of them is none of either."""
    if get_task(examples.task).SPEC.pooled:
        return np.full(len(examples), np.nan)
    return examples.labels


def _questions(
    examples: Examples, tokenizer: "PreTrainedTokenizerBase", max_length: int
) -> TokenizedTexts:
    """Questions and contexts in windows that overlap, and where in each the answer stands."""
    assert examples.pairs is not None  # questions have contexts
    fast: Any = tokenizer
    check_questions(fast.backend_tokenizer, examples.texts, max_length)
    encoded: Any = fast(
        list(examples.texts),
        list(examples.pairs),
        truncation="only_second",
        max_length=max_length,
        stride=window_overlap(max_length),
        return_overflowing_tokens=True,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=True,
    )
    allowed, labels = [], []
    items = encoded["overflow_to_sample_mapping"]
    for row, item in zip(encoded.encodings, items, strict=True):
        inside = context_tokens(row)
        start, end = (int(place) for place in examples.labels[item])
        first = [
            i for i in np.flatnonzero(inside) if row.offsets[i][0] <= start < row.offsets[i][1]
        ]
        last = [i for i in np.flatnonzero(inside) if row.offsets[i][0] < end <= row.offsets[i][1]]
        labels += [int(first[0]), int(last[0])] if first and last else [0, 0]
        inside[0] = True
        allowed.append(inside)
    types = encoded["token_type_ids"] if any(any(r) for r in encoded["token_type_ids"]) else None
    return TokenizedTexts(
        ids=[np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]],
        type_ids=None if types is None else [np.asarray(row, dtype=np.int8) for row in types],
        labels=np.array(labels, dtype=np.int64),
        allowed=allowed,
    )


def length_grouped_batches(
    lengths: NDArray[np.int64], batch_size: int, rng: np.random.Generator, *, pool: int = 40
) -> list[NDArray[np.int64]]:
    """Random batches of texts of like length: little padding, yet another order every time.

    Texts are shuffled, cut into pools of `pool` batches, sorted by length inside a pool, cut
    into batches; the batches are shuffled again.

    Args:
        lengths: (N,) tokens of each text.
        batch_size: Texts in a batch; one batch of all may be smaller.
        rng: Where the order comes from.
        pool: Batches that are sorted together; 1 is plain shuffling.

    Returns:
        Arrays of indices; each text is in exactly one.
    """
    order = rng.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), pool * batch_size):
        members = order[start : start + pool * batch_size]
        members = members[np.argsort(lengths[members], kind="stable")]
        batches += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(
    texts: TokenizedTexts,
    indices: Sequence[int] | NDArray[np.int64],
    pad_token_id: int,
    device: "torch.device | str" = "cpu",
) -> "dict[str, torch.Tensor]":
    """A batch as the lean encoder takes it, padded on the right to its longest text.

    Returns:
        `input_ids` (B, T) int64; `attention_mask` (B, T) only when something is padded;
        `token_type_ids` (B, T) only when the texts have them.
    """
    import torch

    rows = [texts.ids[int(i)] for i in indices]
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), pad_token_id, dtype=np.int64)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    batch = {"input_ids": torch.from_numpy(ids)}
    if any(len(row) < width for row in rows):
        lengths = np.asarray([len(row) for row in rows])
        mask = (np.arange(width) < lengths[:, None]).astype(np.int64)
        batch["attention_mask"] = torch.from_numpy(mask)
    if texts.type_ids is not None:
        types = np.zeros((len(rows), width), dtype=np.int64)
        for line, index in zip(types, indices, strict=True):
            kinds = texts.type_ids[int(index)]
            line[: len(kinds)] = kinds
        batch["token_type_ids"] = torch.from_numpy(types)
    return {name: tensor.to(device) for name, tensor in batch.items()}
