"""Texts as token ids: tokenized once, grouped by length into batches, padded only where needed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.labels import Indices, Labels, Spans, WordLabels, spread
from compress.errors import UsageError
from runtimes.registry import get_task
from runtimes.tasks import DEFAULT_TASK
from runtimes.tasks.question_answering import context_tokens
from runtimes.tasks.token_classification import word_tokens
from runtimes.tokenization import check_questions, window_overlap

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "SpanTokens",
    "TokenLabels",
    "TokenizedTexts",
    "collate",
    "kept_length",
    "length_grouped_batches",
    "tokenize",
]

_LONGEST = 512  # tokens that a model takes whose config does not say it


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


@dataclass(frozen=True, eq=False)
class TokenLabels(Labels):
    """One of C classes for each word: (M,) int64 of all words, text after text.

    Attributes:
        tokens: N arrays, the index of each labelled word's first token; -1 where it was cut off.
    """

    tokens: Sequence[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.tokens)

    def decisions(self, indices: Indices) -> NDArray[np.int64]:
        """Return which of all words are those of the texts at `indices`."""
        return spread(self._starts, indices)

    def take(self, indices: NDArray[np.int64]) -> Self:
        """Return the labels of the texts at `indices`, in that order."""
        tokens = [self.tokens[i] for i in indices]
        return replace(self, values=self.values[self.decisions(indices)], tokens=tokens)

    def blank(self, count: int) -> Self | None:
        """Return labels for `count` texts without a word that has one."""
        return replace(self, values=self.values[:0], tokens=[np.zeros(0, dtype=np.int64)] * count)

    def followed_by(self, other: Self) -> Self:
        """Return these labels and then `other`'s."""
        values = np.concatenate([self.values, other.values])
        return replace(self, values=values, tokens=[*self.tokens, *other.tokens])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(N + 1,) where each text's words start among all words."""
        return np.cumsum([0, *map(len, self.tokens)])


@dataclass(frozen=True, eq=False)
class SpanTokens(Labels):
    """The tokens at which the answer to each question starts and ends: (2 N,) int64.

    Attributes:
        allowed: N arrays (T_i,) of where an answer may start and end: in the context, and at the
            first token (no answer). A long context is several texts.
    """

    allowed: Sequence[NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.allowed)

    def decisions(self, indices: Indices) -> NDArray[np.int64]:
        """Return which of all decisions are those of the texts at `indices`: start and end."""
        first = 2 * np.fromiter(indices, dtype=np.int64)
        return np.stack([first, first + 1], axis=1).ravel()

    def take(self, indices: NDArray[np.int64]) -> Self:
        """Return the labels of the texts at `indices`, in that order."""
        allowed = [self.allowed[i] for i in indices]
        return replace(self, values=self.values[self.decisions(indices)], allowed=allowed)

    def blank(self, count: int) -> Self | None:  # noqa: ARG002
        """Return None: nobody knows where answers to generated questions stand."""
        return None

    def followed_by(self, other: Self) -> Self:
        """Return these labels and then `other`'s."""
        values = np.concatenate([self.values, other.values])
        return replace(self, values=values, allowed=[*self.allowed, *other.allowed])


@dataclass(frozen=True)
class TokenizedTexts:
    """N texts as token ids, without padding.

    Attributes:
        ids: N arrays (T_i,) int32, with the tokenizer's special tokens.
        type_ids: N arrays (T_i,) int8, or None when every token has type 0.
        targets: Their labels: `benchmarks.labels` of texts, `TokenLabels` of words, `SpanTokens` of
            answers; or None when no text has one.
    """

    ids: Sequence[NDArray[np.int32]]
    type_ids: Sequence[NDArray[np.int8]] | None = None
    targets: Labels | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text."""
        return np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))

    @property
    def labels(self) -> NDArray[Any] | None:
        """(M, ...) labels of all decisions; None when no text has one."""
        return None if self.targets is None else self.targets.values

    @property
    def decision_count(self) -> int:
        """M: all decisions, one a text, one a word, or start and end of an answer."""
        return len(self) if self.targets is None else len(self.targets.values)

    def decisions(self, indices: Indices) -> NDArray[np.int64]:
        """Return which of all decisions are those of the texts at `indices`."""
        if self.targets is None:
            return np.fromiter(indices, dtype=np.int64)
        return self.targets.decisions(indices)

    def take(self, indices: Indices) -> "TokenizedTexts":
        """Return the texts at `indices`, in that order."""
        chosen = np.fromiter(indices, dtype=np.int64)
        return TokenizedTexts(
            ids=[self.ids[i] for i in chosen],
            type_ids=None if self.type_ids is None else [self.type_ids[i] for i in chosen],
            targets=None if self.targets is None else self.targets.take(chosen),
        )

    def without_labels(self) -> "TokenizedTexts":
        """Return these texts, their labels forgotten."""
        return TokenizedTexts(self.ids, self.type_ids)

    def followed_by(self, other: "TokenizedTexts") -> "TokenizedTexts":
        """Return these texts and then `other`'s.

        Types and labels that one side lacks are filled in. Where one side cannot have labels of
        the other's kind, no text has one any more.
        """
        type_ids: list[NDArray[np.int8]] | None = None
        if self.type_ids is not None or other.type_ids is not None:
            type_ids = [*_types(self), *_types(other)]
        like = other.targets if self.targets is None else self.targets
        targets: Labels | None = None
        if like is not None:
            first, second = (
                like.blank(len(part)) if part.targets is None else part.targets
                for part in (self, other)
            )
            if first is not None and second is not None:
                targets = first.followed_by(second)
        return TokenizedTexts([*self.ids, *other.ids], type_ids, targets)


def _types(texts: TokenizedTexts) -> Sequence[NDArray[np.int8]]:
    if texts.type_ids is not None:
        return texts.type_ids
    return [np.zeros(len(ids), dtype=np.int8) for ids in texts.ids]


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
    if isinstance(examples.targets, Spans):
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
    targets = examples.targets.of_texts()
    places = getattr(get_task(examples.task), "places", None)
    if isinstance(targets, WordLabels) and places is not None:
        tokens = [
            _read(places(row), int(count))
            for row, count in zip(encoded.encodings, targets.words, strict=True)
        ]
        targets = TokenLabels(targets.values, tokens)
    elif isinstance(targets, WordLabels):
        tokens = [
            word_tokens(text, row.offsets, row.special_tokens_mask)
            for text, row in zip(examples.texts, encoded.encodings, strict=True)
        ]
        targets = TokenLabels(targets.values, tokens)
    types = encoded.get("token_type_ids")
    if types is not None and not any(any(row) for row in types):
        types = None  # families without token types
    return TokenizedTexts(
        ids=[np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]],
        type_ids=None if types is None else [np.asarray(row, dtype=np.int8) for row in types],
        targets=targets,
    )


def _read(places: Sequence[int], count: int) -> NDArray[np.int64]:
    """Return (count,) indices of a text's tokens that have labels, -1 for those cut off."""
    found = np.full(count, -1, dtype=np.int64)
    own = places[:count]
    found[: len(own)] = own
    return found


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
    targets = SpanTokens(np.array(labels, dtype=np.int64), allowed)
    types = encoded["token_type_ids"] if any(any(r) for r in encoded["token_type_ids"]) else None
    return TokenizedTexts(
        ids=[np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]],
        type_ids=None if types is None else [np.asarray(row, dtype=np.int8) for row in types],
        targets=targets if examples.labelled else targets.unknown(),
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
