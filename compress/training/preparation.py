"""Preparation of training text: one normal form, no duplicates, no leaks, copies if asked."""

import random
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import Spans, WordLabels
from compress.data import Splits
from compress.errors import DataError, UsageError
from compress.training.settings import TrainingSettings

__all__ = ["prepare"]

# Share of the words that a varied copy lacks, and of neighbours that change places: what EDA found
# to leave labels as they are (Wei & Zou 2019, https://aclanthology.org/D19-1670).
_VARIED = 0.1


def prepare(splits: Splits, settings: TrainingSettings) -> tuple[Examples, list[str]]:
    """Return the training text to learn from, and what was done to it.

    Only training text is touched: the model will meet text as it comes, so it is validated on that.

    Args:
        splits: As read.
        settings: Normal form, duplicates, copies.

    Returns:
        The examples, and a sentence for each thing that was done.

    Raises:
        DataError: Nothing is left to learn from.
        UsageError: Copies are asked for of something that cannot be varied.
    """
    train = _normalized(splits.train, settings)
    notes = []
    if (changed := sum(a != b for a, b in zip(train.texts, splits.train.texts, strict=True))) > 0:
        notes.append(f"{changed} training texts were brought to normal form.")
    if train.targets.groups is not None:  # with all of their choices or not at all
        if settings.augment:
            raise UsageError("augment: copies of questions with choices cannot be made")
        return train, notes
    seen = {
        key
        for part in (splits.selection, splits.report)
        for key in _normalized(part, settings).inputs()
    }
    kept = [index for index, key in enumerate(train.inputs()) if key not in seen]
    leaks, train = len(train) - len(kept), train.take(kept)
    if leaks:
        notes.append(
            f"{leaks} training texts are, in normal form, also validation texts: left out."
        )
    if settings.duplicates == "drop":
        train, twice, contradicting = _without_duplicates(train)
        if twice:
            notes.append(f"{twice} training texts were there twice: kept once.")
        if contradicting:
            notes.append(
                f"{contradicting} training texts carry several labels: which is right cannot be "
                "told, left out."
            )
    if len(np.unique(train.labels)) < 2:
        raise DataError("after cleaning, the training text has fewer than two classes")
    if settings.augment:
        before = len(train)
        train = _with_copies(train, settings)
        notes.append(f"{len(train) - before} varied copies of training texts were added.")
    return train, notes


def _normalized(examples: Examples, settings: TrainingSettings) -> Examples:
    of_words = isinstance(examples.targets, WordLabels)

    def normal(text: str) -> str:
        if settings.unicode != "none":
            words = text.split() if of_words else [text]
            normal_words = [unicodedata.normalize(settings.unicode, word) for word in words]
            if of_words:  # as many as there were, each of them one
                normal_words = ["".join(word.split()) for word in normal_words]
            text = " ".join(normal_words)
        return " ".join(text.split()) if settings.whitespace else text

    if isinstance(examples.targets, Spans):
        return examples  # answers stand where they stand
    pairs = examples.pairs
    return replace(
        examples,
        texts=tuple(normal(text) for text in examples.texts),
        pairs=None if pairs is None else tuple(normal(text) for text in pairs),
    )


def _without_duplicates(examples: Examples) -> tuple[Examples, int, int]:
    """Return the examples, how many copies went, and how many texts with several labels."""
    places: dict[str | tuple[str, str], list[int]] = defaultdict(list)
    inputs: Sequence[str | tuple[str, str]] = examples.inputs()
    for index, key in enumerate(inputs):
        places[key].append(index)
    agreeing = [
        own for own in places.values() if len({examples.targets.of(i).tobytes() for i in own}) == 1
    ]
    twice = sum(len(own) - 1 for own in agreeing)
    return examples.take([own[0] for own in agreeing]), twice, len(places) - len(agreeing)


def _with_copies(examples: Examples, settings: TrainingSettings) -> Examples:
    """Append `augment` copies of each example with words left out and moved."""
    rng = random.Random(settings.seed)
    if isinstance(examples.targets, WordLabels):
        return _with_shorter_copies(examples, examples.targets, settings.augment, rng)

    def varied(text: str) -> str:
        words = text.split()
        kept = [word for word in words if rng.random() >= _VARIED] or words
        for place in range(len(kept) - 1):
            if rng.random() < _VARIED:
                kept[place], kept[place + 1] = kept[place + 1], kept[place]
        return " ".join(kept)

    whole = examples.take(np.tile(np.arange(len(examples)), 1 + settings.augment))
    return replace(
        whole,
        texts=examples.texts
        + tuple(varied(text) for _ in range(settings.augment) for text in examples.texts),
    )


def _with_shorter_copies(
    examples: Examples, targets: WordLabels, copies: int, rng: random.Random
) -> Examples:
    """Append copies of the examples without some of the words that are part of nothing."""
    texts, labels, words = list(examples.texts), [targets.values], list(targets.words)
    outside = examples.label_names.index("O") if "O" in examples.label_names else -1
    for _ in range(copies):
        for index, text in enumerate(examples.texts):
            own = targets.of(index)
            kept = [i for i, label in enumerate(own) if label != outside or rng.random() >= _VARIED]
            kept = kept or list(range(len(own)))
            spelled = text.split()
            texts.append(" ".join(spelled[i] for i in kept))
            labels.append(own[kept])
            words.append(len(kept))
    return replace(
        examples,
        texts=tuple(texts),
        targets=WordLabels(np.concatenate(labels), np.array(words, dtype=np.int64)),
    )
