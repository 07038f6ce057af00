"""Makes more text like the training text, on token ids; the teacher labels it.

Spans, masked tokens, tokens replaced by their neighbours in the teacher's own word table, and two
texts mixed. TinyBERT (Jiao et al. 2020, https://arxiv.org/abs/1909.10351) and Tang et al. 2019
(https://arxiv.org/abs/1903.12136) report several points from it on small sets. Special tokens
stay where they are: only the segments between them change, each on its own.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from compress.data.tokenized import TokenizedTexts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Vocabulary",
    "augment",
    "mask_tokens",
    "mix_spans",
    "nearest_tokens",
    "read_vocabulary",
    "replace_tokens",
    "sample_span",
    "token_kinds",
]

Ids = NDArray[np.int32]
Number = TypeVar("Number", np.int32, np.int8)

# Chances a generated text is cut to a span or mixed with another one, and rates at which its
# tokens are replaced and masked (the replacement rate is drawn anew for each text, up to this).
SPAN_CHANCE, MIX_CHANCE = 0.3, 0.2
REPLACE_RATE, MASK_RATE = 0.4, 0.05
SHORTEST_SPAN = 0.3
NEIGHBOURS = 12
# Neighbours are looked for among at most so many tokens: a multilingual table has 250,000 rows.
MOST_CANDIDATES = 50_000


@dataclass(frozen=True)
class Vocabulary:
    """Facts about a tokenizer and its model's word table that augmentation uses.

    Attributes:
        structural: (V,) bool, special tokens, which stay where they are.
        mask_id: The mask token, or None: then nothing is masked.
        rows: (V,) row of `neighbours` for each token, -1 for tokens that have none.
        neighbours: (R, k) token ids.
    """

    structural: NDArray[np.bool_]
    mask_id: int | None
    rows: NDArray[np.int32]
    neighbours: Ids


def read_vocabulary(
    tokenizer: "PreTrainedTokenizerBase", embeddings: NDArray[np.float32], texts: TokenizedTexts
) -> Vocabulary:
    """Find the neighbours of every token that occurs in `texts`.

    Args:
        tokenizer: The teacher's.
        embeddings: (V, E) its word table.
        texts: The training text.
    """
    size = len(embeddings)
    kinds = token_kinds(tokenizer, size)
    special = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id]
    special += [tokenizer.eos_token_id, tokenizer.pad_token_id]
    structural = np.zeros(size, dtype=np.bool_)
    structural[[i for i in special if i is not None]] = True
    counts = np.bincount(np.concatenate([*texts.ids, np.zeros(0, np.int32)]), minlength=size)
    occurring = np.flatnonzero((counts > 0) & (kinds > 0)).astype(np.int32)
    rows = np.full(size, -1, dtype=np.int32)
    rows[occurring] = np.arange(len(occurring), dtype=np.int32)
    neighbours = nearest_tokens(embeddings, kinds, occurring)
    return Vocabulary(structural, tokenizer.mask_token_id, rows, neighbours)


def token_kinds(tokenizer: "PreTrainedTokenizerBase", size: int) -> NDArray[np.int8]:
    """Return (size,) kinds of tokens; 0 is never generated (special, unused).

    Tokens of another kind can stand in for each other: both start a word or both continue one,
    both are words or both are punctuation.
    """
    kinds = np.zeros(size, dtype=np.int8)
    vocabulary = {t: i for t, i in tokenizer.get_vocab().items() if i < size}
    pieces = any(token.startswith("##") for token in vocabulary)  # WordPiece
    marks = ("Ġ", "▁")  # byte-level BPE, SentencePiece
    added = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    for token, index in vocabulary.items():
        if index in added or (token.startswith("[") and token.endswith("]") and len(token) > 2):
            continue
        continues = token.startswith("##") if pieces else not token.startswith(marks)
        is_word = any(character.isalnum() for character in token)
        kinds[index] = 1 + 2 * continues + is_word
    return kinds


def nearest_tokens(
    embeddings: NDArray[np.float32],
    kinds: NDArray[np.int8],
    occurring: Ids,
    count: int = NEIGHBOURS,
    most_candidates: int = MOST_CANDIDATES,
) -> Ids:
    """Return the tokens most like each of `occurring` by cosine, among those of its kind.

    Args:
        embeddings: (V, E).
        kinds: (V,) as from `token_kinds`.
        occurring: (R,) token ids of kinds above 0.
        count: Neighbours k of a token.
        most_candidates: The occurring tokens and then the lowest ids (vocabularies list frequent
            tokens first) are candidates, up to this many.

    Returns:
        (R, k); a token whose kind has fewer others repeats them, or itself when it is alone.
    """
    result = np.repeat(occurring[:, None], count, axis=1).astype(np.int32)
    others = np.setdiff1d(np.flatnonzero(kinds > 0), occurring)
    candidates = np.concatenate([occurring, others[: max(0, most_candidates - len(occurring))]])
    unit = embeddings / (np.linalg.norm(embeddings, axis=1, keepdims=True) + 1e-9)
    for kind in np.unique(kinds[occurring]):
        pool = candidates[kinds[candidates] == kind]
        asked = np.flatnonzero(kinds[occurring] == kind)
        k = min(count, len(pool) - 1)
        if k < 1:
            continue
        for start in range(0, len(asked), 1024):
            part = asked[start : start + 1024]
            cosines = unit[occurring[part]] @ unit[pool].T  # (1024, pool)
            cosines[occurring[part][:, None] == pool] = -np.inf
            nearest = pool[np.argpartition(-cosines, k - 1, axis=1)[:, :k]]
            result[part] = nearest[:, np.arange(count) % k]
    return result


def sample_span(tokens: Ids, rng: np.random.Generator, shortest: float = SHORTEST_SPAN) -> Ids:
    """Return a random run of `tokens`, at least `shortest` of its length (and one token)."""
    if len(tokens) < 2:
        return tokens
    length = int(rng.integers(max(1, int(len(tokens) * shortest)), len(tokens) + 1))
    start = int(rng.integers(0, len(tokens) - length + 1))
    return tokens[start : start + length]


def mask_tokens(tokens: Ids, mask_id: int, rate: float, rng: np.random.Generator) -> Ids:
    """Return `tokens` with a share `rate` of them masked."""
    return np.where(rng.random(len(tokens)) < rate, np.int32(mask_id), tokens)


def replace_tokens(
    tokens: Ids, vocabulary: Vocabulary, rate: float, rng: np.random.Generator
) -> Ids:
    """Return `tokens`, a share `rate` of those that have neighbours replaced by one of them."""
    rows = vocabulary.rows[tokens]
    chosen = (rng.random(len(tokens)) < rate) & (rows >= 0)
    if not chosen.any():
        return tokens
    columns = rng.integers(0, vocabulary.neighbours.shape[1], size=int(chosen.sum()))
    replaced = tokens.copy()
    replaced[chosen] = vocabulary.neighbours[rows[chosen], columns]
    return replaced


def mix_spans(first: Ids, second: Ids, rng: np.random.Generator) -> Ids:
    """Join a span of one text and a span of another."""
    return np.concatenate([sample_span(first, rng), sample_span(second, rng)])


def augment(
    texts: TokenizedTexts,
    vocabulary: Vocabulary,
    copies: int,
    rng: np.random.Generator,
    max_length: int,
) -> TokenizedTexts:
    """Generate `copies` texts for each text; they have no labels.

    Args:
        texts: N texts or pairs.
        vocabulary: Of their tokenizer.
        copies: Texts generated from each.
        rng: Where chance comes from; same seed, same texts.
        max_length: Tokens a generated text may have.

    Returns:
        N * copies texts.
    """
    segments = [_segments(ids, vocabulary.structural) for ids in texts.ids]
    ids: list[Ids] = []
    types: list[NDArray[np.int8]] = []
    for _ in range(copies):
        partners = rng.permutation(len(texts))
        for index, partner in enumerate(partners):
            spans, other = segments[index], segments[partner]
            mixes = rng.random() < MIX_CHANCE and len(spans) == len(other)
            room = max_length - len(texts.ids[index])  # tokens that mixing may add in all
            pieces: list[Ids] = []
            for position, (start, stop) in enumerate(spans):
                tokens = texts.ids[index][start:stop]
                if mixes:
                    low, high = other[position]
                    mixed = mix_spans(tokens, texts.ids[partner][low:high], rng)
                    tokens, room = _cut(mixed, len(tokens), room)
                elif rng.random() < SPAN_CHANCE:
                    tokens = sample_span(tokens, rng)
                tokens = replace_tokens(tokens, vocabulary, REPLACE_RATE * rng.random(), rng)
                if vocabulary.mask_id is not None:
                    tokens = mask_tokens(tokens, vocabulary.mask_id, MASK_RATE, rng)
                pieces.append(tokens)
            ids.append(_rebuilt(texts.ids[index], spans, pieces))
            if texts.type_ids is not None:
                row = texts.type_ids[index]
                filled = [np.full(len(p), row[s[0]]) for p, s in zip(pieces, spans, strict=True)]
                types.append(_rebuilt(row, spans, filled))
    return TokenizedTexts(ids=ids, type_ids=types if texts.type_ids is not None else None)


def _segments(ids: Ids, structural: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of tokens between special ones."""
    content = np.concatenate([[False], ~structural[ids], [False]])
    edges = np.flatnonzero(content[1:] != content[:-1])
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _cut(tokens: Ids, before: int, room: int) -> tuple[Ids, int]:
    """Return `tokens`, at most `room` longer than `before`, and the room that is left."""
    tokens = tokens[: before + max(0, room)]
    return tokens, room - max(0, len(tokens) - before)


def _rebuilt(
    row: NDArray[Number], spans: list[tuple[int, int]], pieces: list[NDArray[Number]]
) -> NDArray[Number]:
    """Return `row` with the runs at `spans` replaced by `pieces`."""
    parts: list[NDArray[Number]] = []
    end = 0
    for (start, stop), piece in zip(spans, pieces, strict=True):
        parts += [row[end:start], piece]
        end = stop
    return np.concatenate([*parts, row[end:]]).astype(row.dtype)
