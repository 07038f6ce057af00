"""Splits that do not leak: one to train on, one to decide with, one to report on.

Where no test split is given, the last two may be the same texts (`share`): a run then chooses on
all of them, and cross-fits what it reports.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.errors import DataError

__all__ = [
    "MIN_TO_CARVE",
    "Splits",
    "carve",
    "count_parts",
    "cut",
    "fingerprint",
    "keys",
    "stratified",
    "without_leaks",
]

# Below this a tenth is not a split any more.
MIN_TO_CARVE = 20
MIN_TO_HALVE = 4


@dataclass(frozen=True)
class Splits:
    """The data of one run.

    Attributes:
        train: Everything that is trained, calibrated or scored on.
        selection: The recommended model is chosen on this.
        report: The reported accuracy and drop are of this: texts that take no part in any
            decision, or `selection` itself.
        notes: Sentences for the person: what was carved out of what, what was dropped.
        fingerprint: SHA-256 over the contents of all three.
    """

    train: Examples
    selection: Examples
    report: Examples
    notes: tuple[str, ...]
    fingerprint: str

    @property
    def shared(self) -> bool:
        """Whether the texts that are reported on also choose the model."""
        return self.report is self.selection

    def sizes(self) -> dict[str, int]:
        """Return how many texts are for what."""
        if self.shared:
            return {"train": len(self.train), "held_out": len(self.report)}
        parts = {"train": self.train, "selection": self.selection, "report": self.report}
        return {name: len(part) for name, part in parts.items()}


def carve(
    given: dict[str, Examples], seed: int, where: str, *, share: bool = False
) -> tuple[Examples, Examples, Examples, list[str]]:
    """(train, selection, report, notes) from the splits that there are.

    - test: it is the report; selection is validation, or a tenth of train.
    - train and validation: validation is halved, because the teacher has memorised train; with
      `share` it is both, whole.
    - one split: 80/10/10; with `share` 80/20.

    Every cut is stratified by label and depends only on the data and `seed`.

    Args:
        given: "all" alone, or some of "train", "validation", "test".
        seed: Seed of the shuffle.
        where: The source, for errors.
        share: Whether selection and report may be the same texts, where no test split is given.

    Raises:
        DataError: There is nothing to train on, or too little to cut.
    """
    if "all" not in given and len(given) == 1:
        given = {"all": next(iter(given.values()))}
    if "all" in given:
        whole = given["all"]
        _require(count_parts(whole), MIN_TO_CARVE, where)
        memorised = (
            "If the model was fine-tuned on this data, its own accuracy here is that of memorised "
            "text."
        )
        if share:
            train, held_out = stratified(whole, (0.8, 0.2), seed)
            note = (
                f"One split of {len(whole)}: cut 80/20, stratified, into train ({len(train)}) and "
                f"texts that choose and report ({len(held_out)}). {memorised}"
            )
            return train, held_out, held_out, [note]
        train, selection, report = stratified(whole, (0.8, 0.1, 0.1), seed)
        return (
            train,
            selection,
            report,
            [
                f"One split of {len(whole)}: cut 80/10/10, stratified, into train ({len(train)}), "
                f"selection ({len(selection)}) and report ({len(report)}). {memorised}",
            ],
        )
    if "train" not in given:
        raise DataError(
            f"{where}: there is no train split, only {' and '.join(given)}.",
            hint="Add a train file, or pass one file to --data to have it cut 80/10/10.",
        )
    if "test" not in given:
        held_out = given["validation"]
        _require(count_parts(held_out), MIN_TO_HALVE, where)
        if share:
            note = f"No test split: all of validation ({len(held_out)}) chooses and reports."
            return given["train"], held_out, held_out, [note]
        selection, report = stratified(held_out, (0.5, 0.5), seed)
        return (
            given["train"],
            selection,
            report,
            [
                f"No test split: validation ({len(held_out)}) is halved, stratified: "
                f"{len(selection)} to select with, {len(report)} to report on.",
            ],
        )
    if "validation" in given:
        return (
            given["train"],
            given["validation"],
            given["test"],
            [
                f"Selection on the validation split ({len(given['validation'])}), "
                f"report on the test split ({len(given['test'])}).",
            ],
        )
    _require(count_parts(given["train"]), MIN_TO_CARVE, where)
    train, selection = stratified(given["train"], (0.9, 0.1), seed)
    return (
        train,
        selection,
        given["test"],
        [
            f"No validation split: a tenth of train ({len(selection)}) is held back, stratified, "
            "to select with. The model may have been fine-tuned on it, which makes selection "
            f"optimistic; the report on the test split ({len(given['test'])}) is not affected.",
        ],
    )


def stratified(examples: Examples, fractions: Sequence[float], seed: int) -> list[Examples]:
    """Cuts `examples` so that every part has the labels in the same proportion.

    Each class is shuffled and spread evenly over [0, 1); cutting that line gives parts of exact
    size whose classes differ from their share by less than one example per cut. Every part keeps
    the order of the data. Of several labels, a text counts for the rarest; scores are cut in
    tenths. Where nothing is known of the labels, or texts belong together, chance alone decides.
    """
    return [examples.take(part) for part in cut(examples, fractions, np.random.default_rng(seed))]


def cut(
    examples: Examples, fractions: Sequence[float], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the places, ascending, of the texts of each part; see `stratified`."""
    groups = examples.targets.groups
    if groups is None and not examples.labelled:
        groups = np.arange(len(examples))
    if groups is not None:
        return _by_group(groups, fractions, rng)
    position = np.empty(len(examples))
    labels = examples.targets.strata(len(examples.label_names))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        position[members] = (np.arange(len(members)) + rng.random()) / len(members)
    order = np.argsort(position, kind="stable")
    bounds = np.rint(np.cumsum(fractions)[:-1] * len(examples)).astype(int)
    return [np.sort(part) for part in np.split(order, bounds)]


def _by_group(
    groups: NDArray[np.int64], fractions: Sequence[float], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Cut between groups of texts that belong together, (N,)."""
    whole = np.unique(groups)
    order = rng.permutation(whole)
    bounds = np.rint(np.cumsum(fractions)[:-1] * len(whole)).astype(int)
    return [np.flatnonzero(np.isin(groups, part)) for part in np.split(order, bounds)]


def without_leaks(
    train: Examples, selection: Examples, report: Examples, where: str
) -> tuple[Examples, Examples, list[str]]:
    """Drops from train what selection or report has, and from selection what report has.

    Where these two are the same texts, they stay so. Texts are compared without letter case and
    spacing.

    Returns:
        train, selection, notes.

    Raises:
        DataError: Nothing to train or select with is left.
    """
    notes = []
    in_report = set(keys(report))
    in_selection = set(keys(selection))
    kept_selection = selection
    if selection is not report:
        kept_selection = selection.take(
            [i for i, k in enumerate(keys(selection)) if k not in in_report]
        )
    kept_train = train.take(
        [i for i, k in enumerate(keys(train)) if k not in in_report and k not in in_selection]
    )
    for name, before, after, other in (
        ("selection", selection, kept_selection, "report"),
        ("train", train, kept_train, "selection or report"),
    ):
        dropped = len(before) - len(after)
        if count_parts(after) < 2:
            raise DataError(
                f"{where}: {dropped} of the {len(before)} {name} examples are in the {other} "
                "split too; none would be left without them.",
                hint="Are two of the split files the same? Leave one out and it is carved.",
            )
        if dropped:
            notes.append(
                f"{dropped} of {len(before)} {name} examples are dropped: their text is in the "
                f"{other} split too."
            )
    repeated = count_parts(report) - len(in_report)
    if repeated:
        notes.append(f"{repeated} texts occur more than once within the report split; kept.")
    return kept_train, kept_selection, notes


def fingerprint(parts: Sequence[Examples]) -> str:
    """SHA-256 (hex) over texts, pairs, labels, label names and answers of all parts, in order."""
    digest = hashlib.sha256()

    def feed(text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(
            len(raw).to_bytes(8, "little") + raw
        )  # the length keeps "ab","c" from "a","bc"

    for part in parts:
        feed(f"{len(part)} {len(part.label_names)} {part.pairs is not None}")
        for text in (*part.label_names, *part.texts, *(part.pairs or ())):
            feed(text)
        arrays, more = part.targets.content()
        for array in arrays:
            kind = "<f8" if array.dtype.kind == "f" else "<i8"
            digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        for text in more:
            feed(text)
    return digest.hexdigest()


def keys(examples: Examples) -> list[tuple[str, ...]]:
    """Return the duplicate key of each example: case-folded text with single spaces.

    The keys of all examples that belong together are one.
    """
    texts = [" ".join(text.casefold().split()) for text in examples.texts]
    pairs = [" ".join(text.casefold().split()) for text in examples.pairs or ()]
    keys = [(text,) for text in texts] if not pairs else list(zip(texts, pairs, strict=True))
    groups = examples.targets.groups
    if groups is None:
        return list(keys)
    whole: dict[int, tuple[str, ...]] = {}
    for group, key in zip(groups, keys, strict=True):
        whole[group] = (*whole.get(group, ()), *key)
    return [whole[group] for group in groups]


def count_parts(examples: Examples) -> int:
    """Return how many parts can be cut apart: texts, or groups of them."""
    groups = examples.targets.groups
    return len(examples) if groups is None else len(np.unique(groups))


def _require(count: int, least: int, where: str) -> None:
    if count < least:
        raise DataError(
            f"{where}: {count} examples are too few to split; at least {least} are needed.",
            hint="Add examples, or give train, validation and test files of your own.",
        )
