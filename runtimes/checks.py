"""An artifact's self-test: recorded inputs and answers, answered again on the device at hand.

An artifact holds `checks.npz`: token ids over the lengths that matter, texts of many scripts, what
full-precision PyTorch says of each, and what each of its files said where it was exported. A
runtime that is wrong at one length, in padded batches or on this processor shows here.
"""

import io
import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtimes.artifact import CHECKS_NAME, ArtifactFile, read_manifest, removed_files
from runtimes.errors import ArtifactError, EdgepressError, WrongAnswersError
from runtimes.manifest import Manifest
from runtimes.processor import processor_flags, saturates
from runtimes.tokenization import Rows

if TYPE_CHECKING:
    from runtimes.pipeline import Predictor

__all__ = [
    "Checked",
    "Checks",
    "Rounded",
    "answered",
    "answers_of",
    "cases_at",
    "check_artifact",
    "check_predictor",
    "columns",
    "lengths_to_check",
    "of_equal_lengths",
    "padded_batches",
    "places",
    "read_checks",
    "refuse_wrong",
    "render",
    "wrong_lengths",
]

# Of long outputs, so many places are kept: tokens of a text, and columns of the last axis.
_PLACES, _COLUMNS = 16, 64
# Errors are shares of how far the reference's outputs spread. What INT8 costs differs much from one
# text to the next, and hardly for a text from machine to machine, or alone and in a padded batch:
# the excess tells. A text between two answers makes much of little, so short lengths have several
# cases, and the median of their excesses counts. OpenVINO's fault with AMX was 0.27 and more.
_CASES = 3
_LEAST, _TIMES, _USUAL = 0.2, 2.0, 0.9
_EACH, _BATCH = 64, 8  # every length up to so many tokens; cases of a padded batch
_ANSWERS, _BATCHES = "answers_", "batches_"
_TIMED = (8, 32, 128, 512)


@dataclass(frozen=True)
class Checks:
    """What is asked, and what was answered; K cases, one row of token ids each.

    Attributes:
        rows: The K cases, tokenized, and what pads them.
        expected: (M, C) outputs of full-precision PyTorch: of each case one row, or where the
            model answers for each token up to 16 of them, for the tokens of `places`.
        answers: By runtime, the same of the artifact's own files, where it was exported.
        in_batches: Likewise, asked in padded batches: dynamic INT8 has one range for all of one.
        columns: (C,) which of the model's outputs those are; at most 64 are kept.
        texts: Texts, or pairs, of many scripts.
        text_ids: Token ids of each text.
    """

    rows: Rows
    expected: NDArray[np.float32]
    columns: NDArray[np.int64]
    answers: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    in_batches: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    texts: Sequence[str | tuple[str, str]] = ()
    text_ids: Sequence[Sequence[int]] = ()

    @property
    def of_tokens(self) -> bool:
        """Whether the model answers for each token."""
        return len(self.expected) != len(self.rows.lengths)

    def kept(self, outputs: NDArray[np.float32], length: int) -> NDArray[np.float32]:
        """Return what is kept of a case's outputs, (C,) or (T, C), as rows (m, C)."""
        rows = outputs[None] if outputs.ndim == 1 else outputs[places(length)]
        return rows[:, self.columns].astype(np.float32)

    def write(self, path: Path) -> None:
        """Write the file, the same bytes for the same content."""
        written: dict[str, Any] = dict(
            **{name: _flat(rows) for name, rows in self.rows.columns.items()},
            lengths=self.rows.lengths.astype(np.int32),
            expected=self.expected,
            columns=self.columns.astype(np.int32),
            texts=np.frombuffer(
                json.dumps([self.texts, self.rows.padding]).encode(), dtype=np.uint8
            ),
            text_ids=_flat(self.text_ids),
            text_lengths=np.array([len(row) for row in self.text_ids], dtype=np.int32),
            **{f"{_ANSWERS}{name}": values for name, values in self.answers.items()},
            **{f"{_BATCHES}{name}": values for name, values in self.in_batches.items()},
        )
        np.savez_compressed(path, **written)

    @classmethod
    def read(cls, content: bytes) -> "Checks":
        """Read the file's content.

        Raises:
            ValueError: It is no such file.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            texts, padding = json.loads(arrays["texts"].tobytes())
            columns = {name: _parts(arrays[name], arrays["lengths"]) for name in padding}
            answers, in_batches = (
                {
                    name.removeprefix(kind): values
                    for name, values in arrays.items()
                    if name.startswith(kind)
                }
                for kind in (_ANSWERS, _BATCHES)
            )
            return cls(
                rows=Rows(columns, padding),
                expected=arrays["expected"],
                columns=arrays["columns"],
                answers=answers,
                in_batches=in_batches,
                texts=[text if isinstance(text, str) else tuple(text) for text in texts],
                text_ids=_parts(arrays["text_ids"], arrays["text_lengths"]),
            )
        except Exception as error:  # zipfile, zlib, numpy and json each have their own
            raise ValueError(f"holds no checks: {error}") from error


@dataclass(frozen=True)
class Rounded:
    """What a file is to say of K cases that its INT8 rounds as it should.

    Attributes:
        alone: (M, C) asked one by one.
        in_batches: (M, C) asked in the batches of `padded_batches`.
    """

    alone: NDArray[np.float32]
    in_batches: NDArray[np.float32]


def _flat(rows: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    return np.array([each for row in rows for each in row], dtype=np.int32)


def _parts(flat: NDArray[np.int32], lengths: NDArray[np.int32]) -> list[list[int]]:
    return [part.tolist() for part in np.split(flat, np.cumsum(lengths)[:-1])]


@dataclass(frozen=True)
class Checked:
    """What a runtime answered here.

    Attributes:
        runtime: Its name.
        error: Why it could not be asked; "" where it was.
        device: Where it ran.
        precision: In what it computed.
        cases: Number of inputs asked one by one.
        wrong_lengths: Tokens of those that are wrong.
        wrong_in_batches: Tokens of those that are wrong in a padded batch.
        same_labels: Share (0 to 1) of answers with the label that the same file gave where it was
            exported, or that PyTorch gives where that is not known.
        largest: Largest error against PyTorch, as a share of how far its outputs spread, and
        largest_at: the tokens of that input.
        texts: Texts whose tokens were compared.
        wrong_texts: Those whose tokens differ.
        ms: By number of tokens, median milliseconds of one input.
        lacking: Instruction sets of which the processor has none, so that INT8 sums may saturate;
            empty where they cannot.
    """

    runtime: str
    error: str = ""
    device: str = ""
    precision: str = ""
    cases: int = 0
    wrong_lengths: tuple[int, ...] = ()
    wrong_in_batches: tuple[int, ...] = ()
    same_labels: float = 1.0
    largest: float = 0.0
    largest_at: int = 0
    texts: int = 0
    wrong_texts: int = 0
    ms: Mapping[int, float] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether it ran, and something was wrong."""
        return bool(self.wrong_lengths or self.wrong_in_batches or self.wrong_texts)

    @property
    def right(self) -> bool:
        """Whether it ran, and nothing was wrong."""
        return not (self.error or self.wrong)

    @property
    def verdict(self) -> str:
        """What to think of it, in words."""
        if self.error:
            return self.error
        found = []
        if self.wrong_lengths:
            found.append(f"wrong at {_listed(self.wrong_lengths)} tokens")
        if self.wrong_in_batches:
            found.append(f"wrong in padded batches, at {_listed(self.wrong_in_batches)} tokens")
        if self.wrong_texts:
            found.append(f"{self.wrong_texts} of {self.texts} texts have other tokens")
        said = "; ".join(found) or "right"
        if not self.lacking:
            return said
        return f"{said} (INT8 sums may saturate here: there is none of {', '.join(self.lacking)})"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = {
            **asdict(self),
            "wrong_lengths": list(self.wrong_lengths),
            "wrong_in_batches": list(self.wrong_in_batches),
            "lacking": list(self.lacking),
            "ms": {str(length): ms for length, ms in self.ms.items()},
        }
        return {**plain, "right": self.right, "verdict": self.verdict}


def places(length: int) -> NDArray[np.int64]:
    """Return which of T tokens are looked at, at most 16, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, _PLACES).astype(np.int64))


def columns(width: int) -> NDArray[np.int64]:
    """Return which of a model's outputs are looked at, at most 64."""
    return np.unique(np.linspace(0, width - 1, _COLUMNS).astype(np.int64))


def lengths_to_check(least: int, most: int) -> list[int]:
    """Return every length up to 64, then two for each doubling, odd ones too, and the longest."""
    longer = (round(_EACH * 2 ** (step / 2)) for step in range(1, 2 * most.bit_length()))
    return sorted({*range(least, min(most, _EACH) + 1), *(n for n in longer if n < most), most})


def cases_at(length: int) -> int:
    """Return how many cases there are of T tokens: of long ones, which cost most, only one."""
    return _CASES if length <= _EACH else 1


def answered(
    predictor: "Predictor", checks: Checks, *, batches: bool = False
) -> NDArray[np.float32]:
    """Return what a predictor says of all cases, (M, C) as `Checks.expected`.

    Args:
        predictor: Of the artifact.
        checks: Its cases.
        batches: Ask for eight of different lengths at once, padded, instead of one by one.
    """
    lengths = checks.rows.lengths
    if batches:
        groups = padded_batches(lengths)
    else:  # short after long: what a runtime keeps of the one may show in the other
        order = np.argsort(lengths, kind="stable")
        turns = zip(order[::-1], order, strict=True)
        groups = [[case] for case in dict.fromkeys(int(c) for pair in turns for c in pair)]
    return answers_of(checks, predictor.answering(checks.rows), groups)


def answers_of(
    checks: Checks,
    answer: Callable[[list[int]], Iterable[NDArray[np.float32]]],
    groups: Sequence[list[int]],
) -> NDArray[np.float32]:
    """Return what a model says of all cases asked in groups, (M, C) as `Checks.expected`.

    Args:
        checks: The cases.
        answer: Returns the outputs, (C,) or (T, C), of each case of a group; where their lengths
            differ, padded.
        groups: Indices of the K cases, each in one of them.
    """
    kept: dict[int, NDArray[np.float32]] = {}
    for group in groups:
        for case, outputs in zip(group, answer(group), strict=True):
            length = int(checks.rows.lengths[case])
            kept[case] = checks.kept(outputs[:length] if outputs.ndim > 1 else outputs, length)
    return np.concatenate([kept[case] for case in range(len(kept))])


def of_equal_lengths(lengths: NDArray[np.int64]) -> list[list[int]]:
    """Return the cases (K,) in batches that need no padding."""
    return [np.flatnonzero(lengths == length).tolist() for length in np.unique(lengths)]


def padded_batches(lengths: NDArray[np.int64]) -> list[list[int]]:
    """Return the cases (K,) in batches of eight, of which the longest has up to twice the tokens of
    the shortest: with all lengths in each, two thirds of what is computed would be padding.
    """
    groups: list[list[int]] = []
    octaves = np.ceil(np.log2(np.maximum(lengths, _BATCH)))
    for octave in np.unique(octaves):
        cases = np.flatnonzero(octaves == octave).tolist()
        step = -(-len(cases) // _BATCH)
        groups += [cases[start::step] for start in range(step)]
    return groups


def _errors(answers: NDArray[np.float32], checks: Checks) -> NDArray[np.float64]:
    """Return the largest error of each case (K,), as a share of the reference's spread."""
    expected = checks.expected.astype(np.float64)
    spread = max(float(np.sqrt(np.mean((expected - expected.mean(axis=0)) ** 2))), 1e-3)
    of_rows = np.abs(answers - expected).max(axis=1) / spread
    of_rows[~np.isfinite(of_rows)] = np.inf
    sizes = [len(places(n)) if checks.of_tokens else 1 for n in checks.rows.lengths]
    return np.array([part.max() for part in np.split(of_rows, np.cumsum(sizes)[:-1])])


def wrong_lengths(
    lengths: NDArray[np.int64],
    found: NDArray[np.float64],
    usual: NDArray[np.float64],
    *,
    scale: NDArray[np.float64] | None = None,
) -> tuple[int, ...]:
    """Return the lengths at which a runtime is wrong, in tokens.

    Args:
        lengths: (K,) of the cases.
        found: (K,) their errors, from `_errors`.
        usual: (K,) the same file's errors where it was exported, or computed in another way.
        scale: (K,) errors that tell how large an excess means nothing; None: the usual ones.
    """

    def by_length(of: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.median(of[lengths == length]) for length in there])

    there = np.unique(lengths)
    allowed = max(
        _LEAST, _TIMES * float(np.quantile(by_length(usual if scale is None else scale), _USUAL))
    )
    return tuple(int(length) for length in there[by_length(found - usual) > allowed])


def check_predictor(
    predictor: "Predictor",
    checks: Checks,
    answers: NDArray[np.float32] | None = None,
    *,
    in_batches: NDArray[np.float32] | None = None,
    rounded: Rounded | None = None,
    timed: bool = False,
) -> Checked:
    """Ask a predictor all cases, and judge what it says.

    Args:
        predictor: Of the artifact that `checks` is of.
        checks: Its cases.
        answers: What `answered` returned, where they were asked already.
        in_batches: What it returned of padded batches, likewise.
        rounded: What the file should say, where it is known how it rounds; its errors are those
            that INT8 costs. None takes what `checks` recorded at export. Where it recorded
            nothing, single cases and padded batches are held against each other.
        timed: Measure how long inputs of some lengths take.
    """
    runtime, lengths = predictor.runtime, checks.rows.lengths
    if answers is None:
        answers = answered(predictor, checks)
    found = _errors(answers, checks)
    if in_batches is None:
        in_batches = answered(predictor, checks, batches=True)
    padded = _errors(in_batches, checks)
    before = checks.answers.get(runtime)
    if rounded is None and before is not None:
        rounded = Rounded(before, checks.in_batches.get(runtime, before))
    # Of one range for a batch and one for each text neither is the other's truth: an excess has to
    # stand out of both.
    usual, usual_padded = padded, found
    scale: NDArray[np.float64] | None = np.maximum(padded, found)
    if rounded is not None:
        usual, usual_padded = (
            _errors(each, checks) for each in (rounded.alone, rounded.in_batches)
        )
        scale = None
    wrong = wrong_lengths(lengths, found, usual, scale=scale)
    wrong_padded = wrong_lengths(lengths, padded, usual_padded, scale=scale)
    known = checks.expected if before is None else before
    return Checked(
        runtime=runtime,
        device=predictor.device,
        precision=predictor.precision,
        cases=len(found),
        wrong_lengths=wrong,
        wrong_in_batches=tuple(length for length in wrong_padded if length not in wrong),
        same_labels=float((answers.argmax(axis=1) == known.argmax(axis=1)).mean()),
        largest=float(found.max()),
        largest_at=int(lengths[found.argmax()]),
        texts=len(checks.texts),
        wrong_texts=_other_tokens(predictor, checks),
        ms=_timed(predictor, checks) if timed else {},
    )


def check_artifact(
    folder: str | os.PathLike[str], *, device: str = "cpu", **options: Any
) -> list[Checked]:
    """Run an artifact's self-test on each of its runtimes.

    Args:
        folder: The artifact.
        device: Where to run it.
        options: Others of `runtimes.load`.

    Returns:
        What was found, a runtime each; one that is not installed has an `error`.

    Raises:
        ArtifactError: The artifact is damaged, or has no checks.
    """
    from runtimes.loading import load

    folder = Path(folder)
    manifest = read_manifest(folder)
    checks = read_checks(folder)
    found = []
    for runtime in dict.fromkeys(entry.runtime for entry in manifest.models):
        if runtime in removed_files(folder, manifest):
            continue
        try:
            with load(folder, runtime=runtime, device=device, **options) as predictor:
                checked = check_predictor(predictor, checks, timed=True)
            found.append(replace(checked, lacking=_lacking(manifest, checked)))
        except ArtifactError:
            raise
        except EdgepressError as error:
            found.append(Checked(runtime, error=str(error).splitlines()[0]))
    return found


def read_checks(folder: str | os.PathLike[str]) -> Checks:
    """Return the checks of an artifact, compared with their SHA-256.

    Raises:
        ArtifactError: It has none, or they are damaged.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if CHECKS_NAME not in manifest.files:
        raise ArtifactError(
            f"{folder} has no {CHECKS_NAME}: it cannot be checked.",
            hint="Export it anew: artifacts of earlier versions have none.",
        )
    file = ArtifactFile(folder, manifest, CHECKS_NAME)
    try:
        return Checks.read(file.read())
    except ValueError as error:
        raise ArtifactError(f"{folder / CHECKS_NAME} {error}.") from error
    finally:
        file.close()


def render(found: Sequence[Checked]) -> str:
    """Return what was found as lines of text, a runtime each."""
    head = ("runtime", "precision", "inputs", "same label", "largest error", "ms by tokens", "")
    lines = [head]
    for one in found:
        if one.error:
            lines.append((one.runtime, "", "", "", "", "", one.error))
            continue
        times = "  ".join(f"{length}: {ms:.2f}" for length, ms in one.ms.items())
        largest = f"{one.largest:.2f} at {one.largest_at} tokens"
        same = f"{100 * one.same_labels:.1f}%"
        lines.append(
            (one.runtime, one.precision, str(one.cases), same, largest, times, one.verdict)
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def refuse_wrong(predictor: "Predictor", folder: Path) -> None:
    """Run the checks of an artifact that was just opened.

    Raises:
        WrongAnswersError: The runtime is wrong here.
        ArtifactError: The artifact has no checks.
    """
    checked = check_predictor(predictor, read_checks(folder))
    checked = replace(checked, lacking=_lacking(read_manifest(folder), checked))
    if not checked.right:
        raise WrongAnswersError(
            f"{checked.runtime} answers {folder} wrongly on this machine: {checked.verdict}.",
            hint="Another runtime or version may be right: "
            f"python -m runtimes check {shlex.quote(str(folder))}",
        )


def _lacking(manifest: Manifest, checked: Checked) -> tuple[str, ...]:
    """Return the instruction sets that a runtime's INT8 sums would need here to be exact."""
    if checked.device.lower() != "cpu":
        return ()
    needed = (one.instruction_sets for one in manifest.models if one.runtime == checked.runtime)
    flags = processor_flags()
    return next((sets for sets in needed if saturates(sets, flags)), ())


def _other_tokens(predictor: "Predictor", checks: Checks) -> int:
    return sum(
        predictor.encode([text])["input_ids"][0].tolist() != expected
        for text, expected in zip(checks.texts, checks.text_ids, strict=True)
    )


def _timed(predictor: "Predictor", checks: Checks) -> dict[int, float]:
    """Return median milliseconds of inputs of some lengths, by their tokens."""
    lengths, found = checks.rows.lengths, {}
    answer = predictor.answering(checks.rows)
    for case in sorted({int(np.abs(lengths - wanted).argmin()) for wanted in _TIMED}):
        spent = []
        for _ in range(9):
            started = time.perf_counter()
            answer([case])
            spent.append(time.perf_counter() - started)
        found[int(lengths[case])] = round(1000 * float(np.median(spent[2:])), 3)
    return found


def _listed(lengths: Sequence[int]) -> str:
    shown = ", ".join(map(str, lengths[:8]))
    return shown if len(lengths) <= 8 else f"{shown} and {len(lengths) - 8} other numbers of"
