"""The tokens of a model by id: what the classes of a masked-language model are called."""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["vocabulary_of"]


def vocabulary_of(folder: Path) -> Sequence[str]:
    """The tokens of a folder's `tokenizer.json`, those that were added included; "" where an id has
    none."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    found = [""] * (1 + max(vocabulary.values()))
    for token, index in vocabulary.items():
        found[index] = token
    return found
