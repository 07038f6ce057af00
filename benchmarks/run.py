"""Runs a benchmark: opens all subjects, checks their accuracy, times them in turns."""

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import latency
from benchmarks.accuracy import (
    align_logits,
    describe_wrong,
    differences,
    predict,
    quality_by_row,
    write_inputs,
)
from benchmarks.agreement import by_definition
from benchmarks.chance import chance_notes
from benchmarks.client import SubjectError, Worker
from benchmarks.differences import MOST_TEXTS
from benchmarks.disturbance import NotQuietError, Watch
from benchmarks.energy import Meter
from benchmarks.environment import describe_environment
from benchmarks.examples import Examples
from benchmarks.latency import LatencySettings, Samples
from benchmarks.lengths import measure_lengths, median_tokens, texts_of_lengths
from benchmarks.memory import available_memory_bytes
from benchmarks.metrics import Metric
from benchmarks.report import Percentiles, Report, Row
from benchmarks.roofline import Peaks, floor_of
from benchmarks.stats import Interval
from benchmarks.subjects import Subject
from benchmarks.tasks import answered, get_measure
from runtimes.cores import usable_cores
from runtimes.errors import DataError, EdgepressError, UsageError
from runtimes.registry import get_task

__all__ = ["WAITING", "Progress", "benchmark"]

Progress = Callable[[str, int, int], None]

WAITING = "waiting for quiet"
"""What progress is told in the midst of other steps: seconds waited, and seconds at most."""

_EVALUATION_BATCH = 32
# Single inputs that are answered before memory is read, where accuracy is from batches.
_SINGLES = 64
# Inputs that energy is counted over, again and again.
_ENERGY_INPUTS = 64
# Cold starts of one subject: as many as these while they take no longer than that.
_COLD, _COLD_SECONDS = 7, 3.0


def benchmark(
    subjects: Sequence[Subject],
    examples: Examples,
    *,
    reference: str,
    recommended: str | None = None,
    compared: str | None = None,
    texts: int = MOST_TEXTS,
    settings: LatencySettings | None = None,
    seed: int = 0,
    timeout_s: float = 600.0,
    memory_bytes: int | None = None,
    cold: Sequence[str] | None = None,
    peaks: Mapping[int | None, Peaks] | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
    answers: dict[str, NDArray[np.float32]] | None = None,
    unopened: Collection[str] = (),
) -> Report:
    """Measure all subjects on the same examples.

    Each subject runs in a process of its own and one process is busy at any time. A subject that
    cannot be opened, fails, dies or hangs becomes a row with `error`; the others go on.

    Subjects are held open together as far as memory allows. Where it does not, they are measured in
    groups, each together with the reference, so that every ratio is of one round.

    Args:
        subjects: What to measure, in the order of the table.
        examples: N examples that took part in no decision. Where people did not label them, the
            reference's answers are the labels.
        reference: Id of the subject that drop and speed-up refer to.
        recommended: Id of the subject that is recommended, if one is known already.
        compared: Id of the one whose answers are compared with the reference's, one by one; None:
            the recommended one, or the first other one that answers.
        texts: How many of the texts on which the two differ are in the report, at most.
        settings: How much to time; the defaults suit a model of some milliseconds.
        seed: Seed of the sampling of sentences and of every interval.
        timeout_s: Seconds without an answer after which a subject is given up.
        memory_bytes: Memory that subjects opened together may take; None: half of what is free.
        cold: Ids whose cold start is measured, where the settings ask for it; None: all.
        peaks: What the machine reaches with as many threads as rows have (None: all cores), to
            compare the rows with.
        scratch: Existing folder for what the processes print; None is the system's for temporary
            files.
        progress: Called with a description, steps done and steps in all; see `WAITING`.
        answers: By row's id, the logits (M, C) that it gave on these examples before, their classes
            in the order of the examples': it is not asked for them again. Filled with those of
            each row that answers.
        unopened: Ids of which only these answers are wanted: nothing of them is timed. Where the
            reference is one, speed-ups are those against the first row that is timed.

    Raises:
        UsageError: Ids are not unique, or `reference`, `recommended`, `compared` or one of `cold`
            is none of them.
        DataError: There are no examples.
    """
    named = (reference, recommended, compared, *(cold or ()))
    _check(subjects, examples, [name for name in named if name is not None])
    settings = settings or LatencySettings()
    environment = describe_environment()  # before anything runs: the load is the machine's own
    with tempfile.TemporaryDirectory(prefix="edgepress-", dir=scratch) as folder:
        bench = _Bench(
            subjects=subjects,
            examples=examples,
            reference=reference,
            settings=settings,
            seed=seed,
            timeout_s=timeout_s,
            memory_bytes=memory_bytes or available_memory_bytes() // 2,
            progress=progress or (lambda *_: None),
            scratch=Path(folder),
            cold=cold,
            peaks=peaks or {},
            known=answers or {},
            unopened=unopened,
        )
        bench.measure()
    if answers is not None:
        answers |= bench.answers
    other = bench.answering(compared or recommended)
    return Report(
        environment=environment,
        reference=reference,
        recommended=recommended,
        compared=other,
        quality=quality_by_row(bench.answers, (reference, other), bench.examples),
        differences=differences(bench.answers, (reference, other), bench.examples, most=texts),
        rows=tuple(bench.row(subject) for subject in subjects),
        data=_data_facts(examples),
        method={
            **asdict(settings),
            "rounds_measured": bench.rounds_measured,
            "groups": bench.groups,
            "seed": seed,
            "batch_size": 1,
            "accuracy_batch_size": {"fp32": _evaluation_batch("fp32"), "others": 1},
            "median_characters": float(np.median(bench.lengths)),
            "median_tokens": bench.median_tokens,
            "peaks": [asdict(peaks) for peaks in bench.peaks.values()],
            "disturbance": asdict(bench.watch.disturbance()),
            "left_out": bench.left_out(),
        },
        notes=tuple(bench.notes),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        samples={
            name: {**_plain(samples), "characters": bench.characters[name]}
            for name, samples in bench.samples.items()
        },
    )


def _data_facts(examples: Examples) -> dict[str, Any]:
    """Return what the examples are, for the report."""
    of_vocabulary = get_task(examples.task).SPEC.of_vocabulary
    return {
        "n": len(examples),
        "task": examples.task,
        "problem_type": examples.problem_type,
        "classes": len(examples.label_names),
        # A vocabulary is too long to be listed, and says nothing.
        "labels": [] if of_vocabulary else list(examples.output_names),
        **({} if examples.labelled else {"right_answers": "the original model's own"}),
    }


def _check(subjects: Sequence[Subject], examples: Examples, named: Sequence[str]) -> None:
    ids = [subject.id for subject in subjects]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise UsageError(f"subjects need ids of their own; used more than once: {', '.join(twice)}")
    for name in named:
        if name not in ids:
            raise UsageError(f"no subject is called {name!r}; there are: {', '.join(ids)}")
    if len(examples) == 0:
        raise DataError("there are no examples to measure on")


class _Bench:
    """The state of one benchmark while it runs."""

    def __init__(
        self,
        *,
        subjects: Sequence[Subject],
        examples: Examples,
        reference: str,
        settings: LatencySettings,
        seed: int,
        timeout_s: float,
        memory_bytes: int,
        progress: Progress,
        scratch: Path,
        cold: Sequence[str] | None,
        peaks: Mapping[int | None, Peaks],
        known: Mapping[str, NDArray[np.float32]],
        unopened: Collection[str],
    ) -> None:
        self.examples = examples
        self.settings = settings
        self.seed = seed
        self.lengths = examples.characters()
        self.samples: dict[str, Samples] = {}
        self.characters: dict[str, list[list[int]]] = {}  # of the inputs, round by round
        self.notes: list[str] = []  # of the reference's answers
        self.rounds_measured = self.rounds_numbered = 0
        self.groups = 0
        self._left_out: dict[str, list[str]] = {}  # ids of rows, by what others disturbed
        self._meter = Meter.find()
        self.watch = Watch(threads=_most_threads(subjects), on_wait=self._waiting)
        # The reference is opened first: every group needs it.
        self._order = sorted(subjects, key=lambda subject: subject.id != reference)
        self._reference = reference
        self._timed = reference  # what speed-ups are against
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._progress = progress
        self._cold = [subject for subject in subjects if cold is None or subject.id in cold]
        first = next(subject for subject in subjects if subject.id == reference)
        self.peaks = peaks
        self.median_tokens = None
        # Inputs of chosen lengths stand after the examples.
        self._long: list[tuple[int, Any]] = []
        try:
            self._long = texts_of_lengths(examples, first.path, settings.lengths)
            if self.peaks:
                self.median_tokens = median_tokens(examples, first.path)
        except EdgepressError:
            pass  # an old checkpoint without tokenizer.json: lengths in tokens are not known
        self._inputs = write_inputs(examples, scratch, more=[text for _, text in self._long])
        self._scratch = scratch
        self._rows: dict[str, Row] = {}
        self._known, self._unopened = known, unopened
        self.answers: dict[str, NDArray[np.float32]] = {}
        self._labels: dict[str, tuple[str, ...]] = {}
        self._kept: dict[str, int] = {}  # tokens that a row keeps of an input

    def measure(self) -> None:
        """Open, evaluate and time everything, in as few groups as memory allows."""
        waiting = list(self._order)
        with ExitStack() as lasting:
            reference = self._open(waiting.pop(0), lasting)
            if self._reference in self._unopened and waiting:
                self._timed = waiting[0].id
                reference = self._open(waiting.pop(0), lasting)
            while True:
                with ExitStack() as group:
                    opened = [] if reference is None else [reference]
                    while waiting and (
                        sum(worker.rss_bytes() for worker in opened) < self._memory_bytes
                        or len(opened) < 2
                    ):
                        worker = self._open(waiting.pop(0), group)
                        opened += [] if worker is None else [worker]
                    self._time(opened, last=not waiting)
                if reference is not None and self._rows[reference.id].error is not None:
                    reference = None  # it died on the way: the other groups do without
                if not waiting:
                    break
        if self.settings.cold_starts:
            for place, subject in enumerate(self._cold):
                self._progress(f"cold start: {subject.model}", place, len(self._cold))
                self._cold_start(subject)
                self._progress(f"cold start: {subject.model}", place + 1, len(self._cold))

    def row(self, subject: Subject) -> Row:
        """Return the finished row of a subject."""
        row = self._rows[subject.id]
        samples = self.samples.get(row.id)
        if samples is not None:
            row = replace(
                row,
                end_to_end_ms=self._summary(samples, samples.end_to_end_ms),
                model_ms=self._summary(samples, samples.model_ms),
            )
        peaks, tokens = self.peaks.get(subject.threads), self.median_tokens
        quiet = row.id not in self._disturbed()
        if peaks and tokens and quiet and row.model_ms is not None and row.device == "cpu":
            tokens = min(tokens, self._kept.get(row.id, tokens))
            floor = floor_of(subject.path, row.precision, row.model_ms.p50, tokens, peaks)
            row = replace(row, floor=floor)
        if samples is not None and self._timed in self.samples:
            faster = latency.speedup(self.samples[self._timed], samples, seed=self.seed)
            row = replace(row, speedup=faster)
            if faster is not None and row.id != self._timed:
                row = replace(row, doubt=self._doubt(samples, faster))
        if row.id in self.answers and self._reference in self.answers:
            reference, own = self.answers[self._reference], self.answers[row.id]
            measure = get_measure(self.examples)
            row = replace(
                row,
                drop=measure.drop(reference, own, self.examples, seed=self.seed),
                by_class=measure.drop_by_class(reference, own, self.examples),
                # one text tells nothing of the others
                expected_drop=measure.expected_drop(reference, own, self.examples)
                if len(self.examples) > 1
                else None,
            )
        return row

    def answering(self, wanted: str | None) -> str | None:
        """Return the id of a row whose answers can be compared with the reference's: a certain one,
        or the first; None where there is none."""
        others = [s.id for s in self._order if s.id in self.answers]
        others = [name for name in others if name != self._reference]
        if self._reference not in self.answers or wanted not in (None, *others):
            return None
        return wanted or next(iter(others), None)

    def left_out(self) -> dict[str, list[str]]:
        """Return the ids of rows by what was left out of them, as others disturbed it."""
        disturbed = self._disturbed()
        rounds = ("p99", "model / floor") if self.peaks else ("p99",)
        return dict.fromkeys(rounds, disturbed) | self._left_out if disturbed else self._left_out

    def _disturbed(self) -> list[str]:
        return [name for name, samples in self.samples.items() if samples.disturbed]

    def _summary(self, samples: Samples, timings_ms: NDArray[np.float64]) -> Percentiles:
        disturbed = bool(samples.disturbed)
        return latency.summarize(timings_ms, disturbed=disturbed, seed=self.seed)

    def _doubt(self, samples: Samples, faster: Interval) -> str:
        reference = self.samples[self._timed]
        return latency.doubt(reference, samples, faster, self.watch.disturbance())

    @contextmanager
    def _undisturbed(self, what: str, *ids: str) -> Iterator[None]:
        """Leave out what others disturb until patience is used up, and note of which rows."""
        try:
            yield
        except NotQuietError:
            self._left_out.setdefault(what, []).extend(ids)

    def _waiting(self, seconds: float, most: float) -> None:
        self._progress(WAITING, round(seconds), round(most))

    def _open(self, subject: Subject, stack: ExitStack) -> Worker | None:
        """Start a worker, open its subject and take its predictions; None if that fails."""
        self._rows[subject.id] = Row(
            id=subject.id,
            model=subject.model,
            runtime=subject.runtime,
            device=subject.device,
            precision=subject.precision or "",
            threads=subject.threads,
            note=subject.note,
        )
        if subject.id in self._unopened:
            self._answered(subject.id, self._known[subject.id])
            return None
        place = len(self._rows)
        self._progress(f"accuracy: {subject.model}", place - 1, len(self._order))
        worker = stack.enter_context(
            Worker(subject, self._inputs, self._scratch, timeout_s=self._timeout_s)
        )
        try:
            opened = worker.open()
            self._update(
                subject.id,
                runtime=opened.runtime,
                device=opened.device,
                precision=opened.precision,
                load_ms=opened.load_ms,
                size_bytes=opened.size_bytes,
            )
            batch_size = _evaluation_batch(opened.precision)
            if batch_size > 1:
                # Memory is that of answering single inputs: it counts before the first batch.
                count = min(len(self.examples), _SINGLES)
                alone, _ = worker.predict(count=count)
                self._update(subject.id, rss_bytes=worker.peak_rss_bytes())
                if not _alike(worker.predict(count=count, batch_size=batch_size)[0], alone):
                    batch_size = 1
                    self._note(subject.id, "Its answers depend on the texts beside them.")
            logits = self._known.get(subject.id)
            if logits is None:
                logits = predict(worker, opened.labels, self.examples, batch_size=batch_size)
            if not subject.options.get("workarounds", True):
                self._note(subject.id, self._wrong(subject, logits))
        except SubjectError as error:
            self._fail(worker, error)
            return None
        self._answered(subject.id, logits)
        self._labels[subject.id] = opened.labels
        self._kept[subject.id] = opened.max_length
        self._progress(f"accuracy: {subject.model}", place, len(self._order))
        return worker

    def _answered(self, row_id: str, logits: NDArray[np.float32]) -> None:
        """Take a row's answers."""
        self.answers[row_id] = logits
        if row_id == self._reference:
            self.examples = answered(self.examples, logits)
            self.notes = chance_notes(logits, self.examples)
        self._update(row_id, metric=self._metric(row_id))

    def _metric(self, row_id: str) -> Metric | None:
        """Return how good a row's answers are; None where the original was to say, and did not."""
        if not self.examples.labelled and self._reference not in self.answers:
            return None
        logits = self.answers[row_id]
        found = get_measure(self.examples).metric(logits, self.examples)
        if row_id == self._reference and not self.examples.labelled:
            return by_definition(found)
        return found

    def _wrong(self, subject: Subject, logits: NDArray[np.float32]) -> str:
        """Return what to say of a row's answers, against those of its file as we open it."""
        ours = replace(subject, options={**subject.options, "workarounds": True})
        with Worker(ours, self._inputs, self._scratch, timeout_s=self._timeout_s) as worker:
            right = predict(worker, worker.open().labels, self.examples)
        return describe_wrong(logits, right)

    def _time(self, workers: list[Worker], *, last: bool) -> None:
        """Time one group in turns, then take what would disturb that: memory and throughput."""
        self.groups += 1
        settings = self.settings
        if settings.rounds == 0:
            return
        share = None
        if settings.seconds is not None:
            # A group's share of the time is its share of the subjects.
            share = settings.seconds * len(workers) / max(1, len(self._order))
        drawn = latency.sample_rounds(
            self.lengths,
            rounds=settings.rounds,
            sentences=settings.sentences,
            seed=self.seed + self.groups,
        )
        characters = np.asarray(self.lengths)[drawn].tolist()
        first = self.rounds_numbered
        self.watch.pids = [os.getpid(), *(worker.pid for worker in workers)]
        self._progress("latency", 0, len(drawn))
        measured = latency.measure_latency(
            workers,
            drawn,
            latency.warmup_sentences(self.lengths, settings.warmup),
            settings,
            first_round=first,
            seconds=share,
            watch=self.watch,
            on_failure=self._fail,
            failures=(SubjectError,),
            progress=lambda done, total: self._progress("latency", done, total),
        )
        for name, samples in measured.items():
            self.samples[name] = _joined(self.samples.get(name), samples)
            self.characters.setdefault(name, []).extend(
                characters[number - first] for number in samples.rounds
            )
            self.rounds_numbered = samples.rounds[-1] + 1
        self.rounds_measured += max((len(s.rounds) for s in measured.values()), default=0)
        alive = [worker for worker in workers if worker.id in measured]
        for worker in alive:
            # Memory is that of short single inputs.
            self._take_memory(worker)
        if self._long:
            alive = self._by_length(alive)
        for worker in alive:
            # The reference stays for the next group.
            if worker.id != self._timed or last:
                self._finish(worker)

    def _take_memory(self, worker: Worker) -> None:
        if self._rows[worker.id].rss_bytes is None:
            try:
                self._update(worker.id, rss_bytes=worker.peak_rss_bytes())
            except SubjectError as error:
                self._fail(worker, error)

    def _finish(self, worker: Worker) -> None:
        """Measure what a row can do without: if that fails, the row stays, with a note."""
        if self.settings.throughput_inputs > 0:
            self._progress(f"throughput: {worker.subject.model}", 0, 1)
            try:
                self._energy(worker)
                self._throughput(worker)
            except SubjectError as error:
                self._note(worker.id, f"throughput was not measured: {error.message}")
            self._progress(f"throughput: {worker.subject.model}", 1, 1)
        worker.close()  # with all sessions that it opened

    def _energy(self, worker: Worker) -> None:
        """Count what single inputs take, where the machine counts it."""
        meter, count = self._meter, min(_ENERGY_INPUTS, len(self.examples))
        if meter is None or self._rows[worker.id].device != "cpu":
            return

        # A counter that can no longer be read says nothing.
        with suppress(OSError, ValueError), self._undisturbed("energy", worker.id):
            passes = partial(meter.joules_a_pass, lambda: worker.predict(count=count))
            joules = self.watch.require_quiet(passes)
            self._update(worker.id, energy_mj=1000 * joules / count)

    def _throughput(self, worker: Worker) -> None:
        """Find the inputs a second, in batches and one by one, and what batches change."""
        alone = self.answers[worker.id]
        count = min(self.settings.throughput_inputs, len(self.examples))
        sizes = [size for size in self.settings.throughput_batches if size < count]
        ways = [
            {"batch_size": size, "sessions": sessions}
            for sessions in self._sessions(worker.subject)
            for size in sizes or [count]
        ]

        def seconds(way: Mapping[str, int]) -> float:
            return self.watch.require_quiet(partial(worker.predict, count=count, **way))[1]

        best = ways[0]
        with self._undisturbed("throughput", worker.id):
            taken = []
            for way in ways:
                worker.predict(count=min(count, 2 * way["batch_size"] * way["sessions"]), **way)
                taken.append(seconds(way))
            best = ways[int(np.argmin(taken))]
            # Again: the least of several timings is less than what is usual.
            self._update(
                worker.id,
                throughput_per_s=count / seconds(best),
                throughput_batch=best["batch_size"],
                throughput_sessions=best["sessions"],
            )
            if worker.subject.kind == "artifact":
                ways = [{"batch_size": 1, "sessions": k} for k in self._sessions(worker.subject)]
                self._update(
                    worker.id, throughput_alone_per_s=count / min(seconds(way) for way in ways)
                )
        if best["batch_size"] > 1 and _evaluation_batch(self._rows[worker.id].precision) == 1:
            logits = together = worker.predict(count=count, **best)[0]
            if names := self.examples.output_names:
                together = align_logits(logits, self._labels[worker.id], names)
            measure, own = get_measure(self.examples), alone[: len(together)]
            examples = self.examples.take(range(count))
            lost = None
            if self._rows[worker.id].metric is not None:
                after = measure.metric(together, examples)
                lost = measure.metric(own, examples).value - after.value
            changed = float(measure.changed(together, own).mean())
            self._update(worker.id, batch_label_changes=changed, batch_points_lost=lost)

    def _sessions(self, subject: Subject) -> tuple[int, ...]:
        """Return 1, and for artifacts a session a thread, as `runtimes.load(sessions=...)` does."""
        threads = subject.threads or usable_cores()
        several = subject.kind == "artifact" and subject.device == "cpu" and threads > 1
        return (1, threads) if several and self.settings.throughput_sessions else (1,)

    def _by_length(self, workers: Sequence[Worker]) -> list[Worker]:
        """Time the inputs of chosen lengths; gives the workers that are still alive."""
        failed = set()

        def note(worker: Any, error: Exception) -> None:
            failed.add(worker.id)
            self._note(worker.id, f"latency by length was not measured: {error}")

        new = [worker for worker in workers if not self._rows[worker.id].by_length]
        self._progress("latency by length", 0, len(self._long))
        points = [(of[0], len(self.examples) + place) for place, of in enumerate(self._long)]
        with self._undisturbed("latency by length", *(worker.id for worker in new)):
            curves = measure_lengths(
                new,
                points,
                pause_s=self.settings.pause_s,
                watch=self.watch,
                on_failure=note,
                failures=(SubjectError,),
                progress=lambda done, total: self._progress("latency by length", done, total),
            )
            for name, curve in curves.items():
                # Beyond what a row keeps of an input, longer ones take no longer.
                kept = tuple(point for point in curve if point.tokens <= self._kept[name])
                self._update(name, by_length=kept)
        return [worker for worker in workers if worker.id not in failed]

    def _cold_start(self, subject: Subject) -> None:
        """Time from a process's start to its first answer, with nothing else open."""
        if self._rows[subject.id].error is not None:
            return

        def start() -> float:
            started = time.perf_counter()
            with Worker(subject, self._inputs, self._scratch, timeout_s=self._timeout_s) as worker:
                worker.open()
                worker.predict(count=1)
                return time.perf_counter() - started

        self.watch.pids = [os.getpid()]  # what it starts ends within what is watched
        seconds: list[float] = []
        least = self.settings.cold_starts
        try:
            with self._undisturbed("cold start", subject.id):
                # What starts at once is cheap to repeat, and a single start is easily disturbed.
                while len(seconds) < least or (
                    len(seconds) < _COLD and sum(seconds) < _COLD_SECONDS
                ):
                    seconds.append(self.watch.require_quiet(start))
                self._update(subject.id, cold_start_ms=1000 * float(np.median(seconds)))
        except SubjectError as error:
            self._note(subject.id, f"cold start was not measured: {error.message}")

    def _note(self, row_id: str, remark: str) -> None:
        self._update(row_id, note=f"{self._rows[row_id].note} {remark}".strip())

    def _fail(self, worker: Any, error: Exception) -> None:
        message = error.message if isinstance(error, SubjectError) else str(error)
        self._update(worker.id, error=message)

    def _update(self, row_id: str, **values: Any) -> None:
        self._rows[row_id] = replace(self._rows[row_id], **values)


def _most_threads(subjects: Sequence[Subject]) -> int | None:
    """Return the CPU threads of the row that has most; None for all cores."""
    counts = [subject.threads for subject in subjects]
    return None if None in counts else max(count for count in counts if count)


def _evaluation_batch(precision: str) -> int:
    """Return the inputs at once for the predictions that accuracy is from.

    In full precision a text's answer should not depend on the texts beside it (which is looked at),
    and batches are three times as fast; dynamic INT8 is asked as it is deployed, one at a time.
    """
    return _EVALUATION_BATCH if precision == "fp32" else 1


def _alike(batched: NDArray[np.float32], alone: NDArray[np.float32]) -> bool:
    """Return whether answers to the same inputs agree but for rounding.

    Some models (convolutions, a vector of the last position) see padding.
    """
    if batched.shape != alone.shape:
        return False
    return bool(np.allclose(batched, alone, rtol=1e-3, atol=1e-3 * max(1.0, float(alone.std()))))


def _joined(earlier: Samples | None, later: Samples) -> Samples:
    """Return the rounds of the reference in all groups."""
    if earlier is None:
        return later
    return Samples(
        rounds=earlier.rounds + later.rounds,
        end_to_end_ms=np.concatenate([earlier.end_to_end_ms, later.end_to_end_ms]),
        model_ms=np.concatenate([earlier.model_ms, later.model_ms]),
        disturbed=earlier.disturbed + later.disturbed,
    )


def _plain(samples: Samples) -> dict[str, Any]:
    """Return JSON values, to a tenth of a microsecond: finer is noise and bytes."""
    return {
        "rounds": list(samples.rounds),
        "disturbed": list(samples.disturbed),
        "end_to_end_ms": np.round(samples.end_to_end_ms, 4).tolist(),
        "model_ms": np.round(samples.model_ms, 4).tolist(),
    }
