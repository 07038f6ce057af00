"""How a sentence's vector is made from those of its tokens, as sentence-transformers notes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtimes.base import Array
from runtimes.errors import ModelError
from runtimes.json_files import Contents, read_json, read_json_list
from runtimes.registry import spec_of_head

__all__ = ["MODULES", "SENTENCE_LIMIT", "Pooling", "pooled", "pooling_of", "read_pooling"]

MODULES = "modules.json"
"""The file by which a folder says that it embeds sentences."""

SENTENCE_LIMIT = "sentence_bert_config.json"
"""The file in which it says how many tokens of a sentence it takes."""

_MODES = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True)
class Pooling:
    """From token vectors to one for the sentence.

    Attributes:
        mode: `"mean"` over the tokens, or `"cls"`, the first one's.
        normalized: Whether the vector is made one of length 1.
    """

    mode: str
    normalized: bool


def read_pooling(folder: Path, contents: Contents | None = None) -> Pooling | None:
    """Return what a checkpoint folder says of its sentence vectors; None: it makes none.

    Args:
        folder: The checkpoint.
        contents: Where its files are looked up; None: on the disk.

    Raises:
        ModelError: The vectors are made in a way that is not known here; names it.
    """
    return pooling_of(folder, read_json(folder / "config.json", contents), contents)


def pooling_of(
    folder: Path, config: Mapping[str, Any], contents: Contents | None = None
) -> Pooling | None:
    """Return the same, where the folder's `config.json` has been read already."""
    own = spec_of_head(config.get("head"))
    if own is not None and own.pooled:  # a lean encoder
        return Pooling(str(config["pooling"]), bool(config["normalized"]))
    pooling, normalized = None, False
    for module in read_json_list(folder / MODULES, contents):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind == "Pooling":
            path = folder / str(module.get("path", "")) / "config.json"
            pooling = _mode(read_json(path, contents), path)
        elif kind == "Normalize":
            normalized = True
        elif kind != "Transformer":
            raise ModelError(
                f"{folder / MODULES}: sentence vectors with a {kind} module are not supported",
                hint="Supported are mean and CLS pooling, with or without normalization.",
            )
    return None if pooling is None else Pooling(pooling, normalized)


def pooled(hidden: Array, mask: NDArray[np.int64] | None, pooling: Pooling) -> Array:
    """Sentence vectors (B, H) from those of tokens.

    Args:
        hidden: (B, T, H).
        mask: (B, T), 1 for tokens and 0 for padding; None where nothing is padded.
        pooling: How.
    """
    if pooling.mode == "cls":
        vectors = hidden[:, 0]
    elif mask is None:
        vectors = hidden.mean(axis=1)
    else:
        weights = mask[..., None].astype(hidden.dtype)
        vectors = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    if pooling.normalized:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors)


def _mode(config: dict[str, Any], path: Path) -> str:
    named = [name for name, value in config.items() if name.startswith("pooling_mode_") and value]
    modes = [config["pooling_mode"]] if "pooling_mode" in config else named
    found = [_MODES.get(str(mode), str(mode)) for mode in modes]
    if found not in (["mean"], ["cls"]):
        raise ModelError(
            f"{path}: pooling by {', '.join(found) or 'nothing'} is not supported",
            hint="Supported are mean and CLS pooling, with or without normalization.",
        )
    return found[0]
