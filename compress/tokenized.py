"""Texts as token ids: tokenized once, grouped by length into batches, padded only where needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.errors import UsageError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = ["TokenizedTexts", "collate", "kept_length", "length_grouped_batches", "tokenize"]

_LONGEST = 512  # tokens kept of a text where the tokenizer states no limit of its own

NO_LABEL = -1
"""The label of a text that has none; losses ignore it."""


def kept_length(wanted: int | None, config: Any, tokenizer: Any) -> int:
    """Tokens kept of a text: what was asked for, as far as the model goes; else what model and
    tokenizer allow.

    Raises:
        UsageError: More is asked for than the model has positions.
    """
    positions = getattr(config, "max_position_embeddings", _LONGEST)
    if wanted is not None and wanted > positions:
        raise UsageError(f"max_length={wanted}, but the model has {positions} positions")
    return int(wanted or min(positions, tokenizer.model_max_length, _LONGEST))


@dataclass(frozen=True)
class TokenizedTexts:
    """N texts as token ids, without padding.

    Attributes:
        ids: N arrays (T_i,) int32, with the tokenizer's special tokens.
        type_ids: N arrays (T_i,) int8, or None when every token has type 0.
        labels: (N,) int64, `NO_LABEL` where a text has none; or None when no text has one.
    """

    ids: Sequence[NDArray[np.int32]]
    type_ids: Sequence[NDArray[np.int8]] | None = None
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text."""
        return np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))

    def take(self, indices: Iterable[int] | NDArray[np.int64]) -> "TokenizedTexts":
        """The texts at `indices`, in that order."""
        chosen = [int(index) for index in indices]
        return TokenizedTexts(
            ids=[self.ids[i] for i in chosen],
            type_ids=None if self.type_ids is None else [self.type_ids[i] for i in chosen],
            labels=None if self.labels is None else self.labels[chosen],
        )

    def without_labels(self) -> "TokenizedTexts":
        """These texts, their labels forgotten."""
        return TokenizedTexts(self.ids, self.type_ids)

    def followed_by(self, other: "TokenizedTexts") -> "TokenizedTexts":
        """These texts and then `other`'s; types and labels that one side lacks are filled in."""
        type_ids: list[NDArray[np.int8]] | None = None
        if self.type_ids is not None or other.type_ids is not None:
            type_ids = [*_types(self), *_types(other)]
        labels: NDArray[np.int64] | None = None
        if self.labels is not None or other.labels is not None:
            labels = np.concatenate([_labels(self), _labels(other)])
        return TokenizedTexts([*self.ids, *other.ids], type_ids, labels)


def _types(texts: TokenizedTexts) -> Sequence[NDArray[np.int8]]:
    if texts.type_ids is not None:
        return texts.type_ids
    return [np.zeros(len(ids), dtype=np.int8) for ids in texts.ids]


def _labels(texts: TokenizedTexts) -> NDArray[np.int64]:
    if texts.labels is not None:
        return texts.labels
    return np.full(len(texts), NO_LABEL, dtype=np.int64)


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
    types = encoded.get("token_type_ids")
    if types is not None and not any(any(row) for row in types):
        types = None  # families without token types
    return TokenizedTexts(
        ids=[np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]],
        type_ids=None if types is None else [np.asarray(row, dtype=np.int8) for row in types],
        labels=np.asarray(examples.labels, dtype=np.int64),
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
