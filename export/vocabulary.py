"""Rows of the word table that no text can ask for: left out of an artifact, without loss.

A vocabulary is learned, or inherited, apart from the rules that prepare text for it. BERT's uncased
one has placeholders (`[unused17]`), continuations of characters that are always words of their own
(`##中`) and letters that normalization never leaves. Their rows are read by nothing.
"""

import copy
import json
import sys
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from runtimes.registry import task_of_head

__all__ = ["live_tokens", "without_dead_tokens"]


@lru_cache(maxsize=4)  # of a family's exports, all ask for the same
def live_tokens(described: str) -> tuple[int, ...]:
    """Ids that some text may be given, ascending; special and added tokens are among them.

    WordPiece over `BertNormalizer` and `BertPreTokenizer` treats each character by itself. So one
    pass over all characters shows which of them can stand in a word, and which only alone; a token
    with a character that cannot stand where the token has it is never matched. Of any other kind
    of tokenizer all ids are returned.

    Args:
        described: The text of a `tokenizer.json`.
    """
    backend = Tokenizer.from_str(described)
    vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    if (
        type(backend.model) is not models.WordPiece
        or type(backend.pre_tokenizer) is not pre_tokenizers.BertPreTokenizer
        or type(backend.normalizer) not in (normalizers.BertNormalizer, type(None))
    ):
        return tuple(sorted(vocabulary.values()))
    inside, alone = _characters(backend, set("".join(vocabulary)))
    model = backend.model  # each look at it is a copy
    prefix, unknown = model.continuing_subword_prefix, model.unk_token
    # The ids that the tokenizer itself puts around texts and behind them.
    kept = {*backend.get_added_tokens_decoder(), *backend.encode("", "").ids}
    kept.update(backend.encode("").ids)
    if backend.padding:
        kept.add(backend.padding["pad_id"])
    for token, index in vocabulary.items():
        text = token.removeprefix(prefix)
        if token == unknown or token in alone or (text and inside.issuperset(text)):
            kept.add(index)
    return tuple(sorted(kept))


def without_dead_tokens(module: Any, folder: Path) -> Any:
    """Return a model, and the tokenizer beside it, without the rows that no text can ask for.

    Args:
        module: A lean encoder; left as it is.
        folder: Its `tokenizer.json` is written again, with the ids that the rows then have.

    Returns:
        A model that shares all other weights with `module`; `module` itself where every row is
        alive, or an answer.
    """
    if task_of_head(module.config.head).SPEC.of_vocabulary:
        return module  # its answers are rows of the vocabulary
    path = folder / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    kept = sorted({*live_tokens(text), module.config.pad_token_id} - {None})
    rows = module.config.vocab_size
    if len(kept) == rows or kept[-1] >= rows:
        return module
    new_ids = {old: new for new, old in enumerate(kept)}
    if len(kept) <= kept[-1]:  # not only rows behind the last token
        described = json.loads(text)
        if not _renumber(described, new_ids):
            return module
        path.write_text(json.dumps(described, ensure_ascii=False, indent=2), encoding="utf-8")
    return _with_rows(module, kept, new_ids)


def _characters(backend: Tokenizer, extra: set[str]) -> tuple[set[str], set[str]]:
    """Characters that words of several characters hold, and characters that are words alone.

    Args:
        backend: A tokenizer that treats each character by itself.
        extra: Characters to try besides those that Unicode assigns.
    """
    assigned = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) not in ("Cn", "Co", "Cs")
    }
    # Between letters, so that whatever can be part of a word is part of one here.
    text = "a" + "".join(f"{character}a" for character in sorted(assigned | extra))
    normalizer = backend.normalizer
    normalized = text if normalizer is None else normalizer.normalize_str(text)
    pieces = [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(normalized)]
    inside = {character for piece in pieces if len(piece) > 1 for character in piece}
    return inside, {piece for piece in pieces if len(piece) == 1}


def _renumber(described: dict[str, Any], new_ids: dict[int, int]) -> bool:
    """Give a tokenizer's JSON its new ids; False, where it has a part that holds ids unknown here.

    The JSON is changed only where the answer is True.
    """
    processor: dict[str, Any] = described.get("post_processor") or {}
    kind = processor.get("type")
    model = described["model"]
    known = kind in (None, "TemplateProcessing", "BertProcessing")
    if not known or model["type"] != "WordPiece":
        return False
    if kind == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [new_ids[index] for index in token["ids"]]
    elif kind == "BertProcessing":
        for name in ("sep", "cls"):
            processor[name][1] = new_ids[processor[name][1]]
    model["vocab"] = {t: new_ids[i] for t, i in model["vocab"].items() if i in new_ids}
    for token in described["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    if padding := described.get("padding"):
        padding["pad_id"] = new_ids[padding["pad_id"]]
    return True


def _with_rows(module: Any, kept: list[int], new_ids: dict[int, int]) -> Any:
    words = module.get_input_embeddings()
    # What is named here is shared instead of copied: all weights but the table.
    shared = {id(p): p for p in module.parameters() if p is not words.weight}
    smaller = copy.deepcopy(module, {**shared, id(words): torch.nn.Identity()})
    table = torch.nn.Embedding(len(kept), words.embedding_dim, _weight=words.weight.detach()[kept])
    smaller.set_input_embeddings(table)
    smaller.config.vocab_size = len(kept)
    for name, index in smaller.config.to_dict().items():
        if name.endswith("_token_id") and isinstance(index, int):
            setattr(smaller.config, name, new_ids.get(index))
    return smaller.eval()
