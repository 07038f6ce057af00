"""Finds the entities in a sequence of tags, by the rules of the CoNLL shared tasks."""

from collections.abc import Sequence

__all__ = ["entities", "kind_of", "marks_entities"]

_ALIKE = {"L": "E", "U": "S"}  # BILOU's names for what IOBES calls end and single


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Return the entities of one text, as (kind, first word, word after the last).

    Tags are BIO, IOB2, IOBES or BILOU: `B-` begins an entity, `I-` goes on with one or, where there
    is none of its kind to go on with, begins one; `E-` or `L-` ends it, `S-` or `U-` is one alone.

    Args:
        tags: One a word.
    """
    found = set()
    start, kind, ended = 0, "", True
    for place, tag in enumerate([*tags, "O"]):
        mark, own = _parts(tag)
        begins = mark in ("B", "S") or (mark in ("I", "E") and (ended or own != kind))
        if not ended and (begins or mark == "O"):
            found.add((kind, start, place))
            ended = True
        if begins:
            start, kind, ended = place, own, False
        if mark in ("E", "S"):
            found.add((kind, start, place + 1))
            ended = True
    return found


def kind_of(tag: str) -> str:
    """Return the kind that a tag names: `artist` of `B-artist`; empty for `O`."""
    return _parts(tag)[1]


def marks_entities(names: Sequence[str]) -> bool:
    """Return whether tags mark entities, rather than a class of every word (part of speech)."""
    return any(tag.startswith(("B-", "I-")) for tag in names)


def _parts(tag: str) -> tuple[str, str]:
    mark, separator, kind = tag.partition("-")
    if not separator or mark not in "BIESLU":
        return ("O", "") if tag == "O" else ("I", tag)
    return _ALIKE.get(mark, mark), kind
