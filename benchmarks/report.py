"""Holds what was measured: rows, their report, and `report.json` (format 1)."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.differences import Difference, Differences
from benchmarks.expected import ExpectedDrop
from benchmarks.metrics import ClassDrop, CrossFitted, Drop, Metric
from benchmarks.quality import Bin, ClassQuality, Quality, Threshold
from benchmarks.roofline import Floor
from benchmarks.stats import Interval
from benchmarks.typed import built
from runtimes.errors import ArtifactError
from runtimes.files import read_file
from runtimes.folders import write_text
from runtimes.json_files import MOST_BYTES, parse_json

__all__ = [
    "LISTS",
    "PARTS",
    "REPORT_FORMAT",
    "LengthPoint",
    "Percentiles",
    "Report",
    "Row",
    "Step",
    "damage_named",
    "load_report",
    "paired_medians",
    "save_report",
]

REPORT_FORMAT = 1
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Percentiles:
    """Latency of single inputs (batch 1), in milliseconds.

    Attributes:
        p50: Median.
        p90: 90th percentile.
        p99: 99th percentile; noise where its interval is wide or there is none. None where others
            disturbed a round.
        n: Timings, warm-up excluded.
        p50_low: Lower end of the median's 95% interval.
        p50_high: Upper end of the median's 95% interval.
        p99_low: Lower end of the 99th percentile's 95% interval; None where the timings are too few
            for one.
        p99_high: Its upper end.
    """

    p50: float
    p90: float
    p99: float | None
    n: int
    p50_low: float
    p50_high: float
    p99_low: float | None = None
    p99_high: float | None = None


@dataclass(frozen=True)
class LengthPoint:
    """One point of a row's curve.

    Attributes:
        tokens: Of the input, special tokens included, by the reference's tokenizer.
        p50_ms: Median milliseconds from text to answer.
    """

    tokens: int
    p50_ms: float


@dataclass(frozen=True)
class Row:
    """One model on one runtime. What could not be measured is None; `error` says why.

    Attributes:
        id: Unique in the report.
        model: Name for people.
        runtime: Runtime that executed.
        device: Device that really executed, after any fallback.
        precision: Precision that really executed.
        end_to_end_ms: Text in, label out.
        model_ms: The model alone, on inputs that are tokenized already.
        metric: Task metric, points.
        drop: Points lost against the reference, on the same examples (0 of the reference itself).
        expected_drop: The same with less noise from the labels, for choosing.
        by_class: Where the drop falls.
        speedup: Paired end-to-end ratio to the reference (6.0: six times as fast; 1 of itself).
        doubt: Why that ratio is not to be relied on, and is named in files of figures alone; empty
            where it is.
        size_bytes: Bytes of the model files that this runtime reads: weights and graph, without
            tokenizer, configuration, or what is there for other runtimes.
        load_ms: A fresh process's time from asking for the model to having it open, the import of
            the runtime's library included; of artifacts also the checking of checksums and a
            first answer. Whether the files were in the system's cache already is not controlled.
        cold_start_ms: From starting a process to its first answer, Python and libraries included;
            the files are in the system's cache by then.
        rss_bytes: Peak resident memory of the row's process (Python, library, model and tokenizer)
            after answering single inputs.
        threads: Intra-op threads asked for; None: the library's own choice.
        throughput_per_s: Inputs per second, text to logits, in batches, at the best of the batch
            sizes that were tried.
        throughput_batch: That batch size.
        throughput_sessions: Sessions that shared the work then.
        throughput_alone_per_s: Of an artifact, the same one by one, as lists are answered unless
            batches are asked for (`batch_invariant=False`).
        energy_mj: Millijoules that the processor's packages took for an input, inputs one by one,
            whatever else they did meanwhile included; None where the machine does not count them.
        by_length: Latency by the length of the input.
        floor: How far above what its arithmetic takes at the machine's peaks.
        batch_label_changes: Share (0 to 1) of those inputs whose label differs from the one that
            the same input got alone; None in full precision, where batch mates do not matter.
        batch_points_lost: Points of the metric that those inputs lose in batches.
        note: A remark.
        error: Why the row is incomplete; None where everything was measured.
    """

    id: str
    model: str
    runtime: str
    device: str
    precision: str
    end_to_end_ms: Percentiles | None = None
    model_ms: Percentiles | None = None
    metric: Metric | None = None
    drop: Drop | None = None
    expected_drop: ExpectedDrop | None = None
    by_class: tuple[ClassDrop, ...] = ()
    speedup: Interval | None = None
    doubt: str = ""
    size_bytes: int | None = None
    load_ms: float | None = None
    cold_start_ms: float | None = None
    rss_bytes: int | None = None
    threads: int | None = None
    throughput_per_s: float | None = None
    throughput_batch: int | None = None
    throughput_sessions: int | None = None
    throughput_alone_per_s: float | None = None
    energy_mj: float | None = None
    by_length: tuple[LengthPoint, ...] = ()
    floor: Floor | None = None
    batch_label_changes: float | None = None
    batch_points_lost: float | None = None
    note: str = ""
    error: str | None = None

    @property
    def sure_speedup(self) -> Interval | None:
        """The ratio to the reference; None where it was not measured, or is in doubt."""
        return None if self.doubt else self.speedup


@dataclass(frozen=True)
class Step:
    """Something to do next.

    Attributes:
        what: In words.
        command: For a shell, where the report was made.
    """

    what: str
    command: str


@dataclass(frozen=True)
class Report:
    """Everything that one benchmark found out.

    Attributes:
        environment: `benchmarks.environment.describe_environment()`.
        reference: Id of the row that drop and speed-up refer to.
        rows: The rows, in the order of the table.
        recommended: Id of the row to use; None where nothing is recommended.
        crossed: What the choice loses, where the examples that rows are measured on chose the
            recommended one: its own row's drop is then that of a winner. None where they did not.
        compared: Id of the row that `differences` are of: the recommended one, or where there is
            none, another that was measured; None in older reports.
        quality: By row, of the reference and the compared one, what there is to say beyond the
            metric.
        differences: Texts on which these two differ.
        sizes: By row, bytes of its parts (`embeddings`, `layers`, `head`, `graph`, and beside them
            `tokenizer`), of those rows whose weights have known names.
        data: What it was measured on (`n`, `task`, `labels`, `source`, `fingerprint`, `splits`,
            `notes` ...).
        method: How (`rounds`, `sentences`, `seed`, `peaks` of the machine ...).
        budget: What was asked for (`max_drop` ...).
        decisions: What a run decided on the way, in order.
        family: The models of the run.
        notes: Remarks for the reader.
        next_steps: What to do with the result.
        command: The command that makes this report again.
        created: When, ISO 8601 in UTC.
        samples: Raw timings by row: `rounds` (their numbers), `disturbed` (of these, those that
            other processes disturbed), and a list a round of `characters` (the inputs' lengths),
            `end_to_end_ms` and `model_ms`.
    """

    environment: Mapping[str, Any]
    reference: str
    rows: tuple[Row, ...]
    recommended: str | None = None
    crossed: CrossFitted | None = None
    compared: str | None = None
    quality: Mapping[str, Quality] = field(default_factory=dict)
    differences: Differences | None = None
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    method: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    decisions: tuple[Any, ...] = ()
    family: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    next_steps: tuple[Step, ...] = ()
    command: str | None = None
    created: str | None = None
    samples: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told_drop(self) -> "CrossFitted | Drop | None":
        """What the recommended row loses on texts that did not choose it."""
        if self.recommended is None or self.recommended == self.reference:
            return None
        return self.crossed or self.row(self.recommended).drop

    def row(self, row_id: str) -> Row:
        """Return the row called `row_id`.

        Raises:
            KeyError: There is none.
        """
        for row in self.rows:
            if row.id == row_id:
                return row
        raise KeyError(row_id)

    def paired_medians(
        self, first: str, second: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return median end-to-end milliseconds, (R,) each, of the rounds that two rows share.

        Args:
            first: Id of a row.
            second: Id of another; where one has no samples, or no round is common, R is 0.
        """
        none: Mapping[str, Any] = {"rounds": (), "end_to_end_ms": ()}
        of = [self.samples.get(name, none) for name in (first, second)]
        own, other = paired_medians(*((each["rounds"], each["end_to_end_ms"]) for each in of))
        return own, other

    def to_json(self) -> dict[str, Any]:
        """Return the report as `report.json` holds it."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            "format": REPORT_FORMAT,
            **values,
            "rows": [asdict(row) for row in self.rows],
            "quality": {row: asdict(quality) for row, quality in self.quality.items()},
            "next_steps": [asdict(step) for step in self.next_steps],
            "crossed": None if self.crossed is None else asdict(self.crossed),
            "differences": None if self.differences is None else asdict(self.differences),
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Report":
        """Return the report that `to_json` gave; keys of later minor additions are ignored.

        Raises:
            ArtifactError: Another format, or a key is missing or of the wrong shape.
        """
        if not isinstance(values, Mapping) or "format" not in values:
            raise ArtifactError("this is no edgepress report: it has no `format`")
        if values["format"] != REPORT_FORMAT:
            raise ArtifactError(
                f"the report has format {values['format']!r}; this edgepress reads {REPORT_FORMAT}",
                hint="Read it with the edgepress that wrote it, or run the benchmark again.",
            )
        try:
            known = {f.name: values[f.name] for f in fields(Report) if f.name in values}
            known["rows"] = tuple(_row(row) for row in values["rows"])
            for name in ("decisions", "family", "notes"):
                known[name] = tuple(known.get(name, ()))
            known["next_steps"] = tuple(built(Step, of) for of in known.get("next_steps", ()))
            known["quality"] = {row: _quality(of) for row, of in known.get("quality", {}).items()}
            if known.get("crossed") is not None:
                known["crossed"] = built(CrossFitted, known["crossed"])
            if known.get("differences") is not None:
                known["differences"] = _with_lists(
                    Differences, known["differences"], {"texts": Difference}
                )
            report = built(Report, known)
            for row, timings in report.samples.items():
                _check_timings(row, timings)
            report.row(report.reference)
            for named in (report.recommended, report.compared, *report.quality):
                if named is not None:
                    report.row(named)
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"the report is incomplete or damaged: {error!s:.200}") from error
        return report


def paired_medians(
    *timings: tuple[Sequence[int], Sequence[Sequence[float]] | NDArray[np.float64]],
) -> tuple[NDArray[np.float64], ...]:
    """Return the medians, (R,) each, of the rounds that all of some models have in common.

    Args:
        timings: Of each model, the numbers of its rounds, and its timings in each of them.
    """
    medians = [
        {number: float(np.median(ms)) for number, ms in zip(rounds, values, strict=True)}
        for rounds, values in timings
    ]
    shared = sorted(set.intersection(*map(set, medians)))
    return tuple(np.array([of[number] for number in shared]) for of in medians)


def save_report(report: Report, path: Path) -> None:
    """Write `report.json`: either the whole file is there afterwards or the old one still is."""
    values = report.to_json()
    samples = values.pop("samples")
    # One timing a line would be thousands of lines: the samples follow on one line a row.
    body = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    lines = [
        f"    {json.dumps(row)}: {json.dumps(timings, separators=(',', ':'), allow_nan=False)}"
        for row, timings in samples.items()
    ]
    block = "{\n" + ",\n".join(lines) + "\n  }" if lines else "{}"
    text = f'{body[:-2]},\n  "samples": {block}\n}}\n'
    write_text(path, text)


def load_report(path: Path) -> Report:
    """Read a `report.json`.

    Raises:
        ArtifactError: There is no such file, it is no report, or one of another format.
    """
    try:
        values = parse_json(read_file(path, MOST_BYTES))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: there is no such report") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON: {error}") from error
    try:
        return Report.from_json(values)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error.message}", hint=error.hint) from error


@contextmanager
def damage_named(*paths: Path) -> Iterator[None]:
    """Say of reports that others wrote what showing them fails on: much of them has no fixed form.

    Raises:
        ArtifactError: Anything in this block failed as on values of the wrong kind.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        which = " or ".join(map(str, paths))
        raise ArtifactError(
            f"{which}: the report is incomplete or damaged: {type(error).__name__}: {error!s:.200}"
        ) from error


PARTS: dict[str, Any] = {
    "end_to_end_ms": Percentiles,
    "model_ms": Percentiles,
    "metric": Metric,
    "drop": Drop,
    "expected_drop": ExpectedDrop,
    "speedup": Interval,
    "floor": Floor,
}
"""Figures of a row that have parts, and their classes."""
LISTS: dict[str, Any] = {"by_class": ClassDrop, "by_length": LengthPoint}
"""Figures of a row that there are several of, and their classes."""
_QUALITY_LISTS: dict[str, Any] = {"classes": ClassQuality, "bins": Bin, "thresholds": Threshold}


def _row(values: Mapping[str, Any]) -> Row:
    known = {f.name: values[f.name] for f in fields(Row) if f.name in values}
    for name, part in PARTS.items():
        if known.get(name) is not None:
            known[name] = built(part, known[name])
    return _with_lists(Row, known, LISTS)


def _with_lists(
    kind: Callable[..., _Kind], values: Mapping[str, Any], lists: Mapping[str, Any]
) -> _Kind:
    """Return an instance of a dataclass some of whose fields are lists of others."""
    known = {**values}  # which refuses what is no mapping
    for name, part in lists.items():
        known[name] = tuple(built(part, each) for each in known.get(name, ()))
    return built(kind, known)


def _quality(values: Mapping[str, Any]) -> Quality:
    known = {**values}
    known["names"] = tuple(known.get("names", ()))
    known["confusions"] = tuple(tuple(each) for each in known.get("confusions", ()))
    return _with_lists(Quality, known, _QUALITY_LISTS)


def _check_timings(row: str, timings: Any) -> None:
    """Make sure that a row's raw samples are numbers of rounds, and as many lists of numbers.

    Raises:
        TypeError: They are not.
    """
    rounds = timings["rounds"]
    lists = [timings[name] for name in ("end_to_end_ms", "model_ms") if name in timings]
    whole = all(type(number) is int for number in rounds)
    if not whole or any(len(each) != len(rounds) for each in lists):
        raise TypeError(f"the samples of {row!r:.60} are not a list a round")
    for value in (value for each in lists for values in each for value in values):
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise TypeError(f"the samples of {row!r:.60} hold {value!r:.60}")
