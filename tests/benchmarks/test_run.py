"""The whole benchmark, over real worker processes and a model of two words."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import psutil
import pytest

from benchmarks import LatencySettings, Subject, benchmark, load_report, run, save_report
from benchmarks.client import SubjectError, Worker
from benchmarks.disturbance import PATIENCE, Taken, Watch
from benchmarks.lengths import measure_lengths, texts_of_lengths
from benchmarks.render.bars import latency_bars
from benchmarks.render.curves import length_plot
from benchmarks.render.markdown import render_markdown
from benchmarks.render.plots import DESK
from benchmarks.subjects import open_subject
from runtimes.errors import DataError, UsageError

QUICK = LatencySettings(rounds=4, sentences=6, warmup=3, settle=1, min_rounds=2)


def test_a_row_as_its_users_open_it_says_what_the_library_answers_wrongly(
    export, artifact, examples, monkeypatch
):
    import openvino

    stock = replace(export, runtime="openvino", options={"workarounds": False})
    openvino.save_model(
        openvino.convert_model(export.path / "model.onnx"), export.path / "openvino_model.xml"
    )
    opened = []
    describe = run.describe_wrong

    def compared(logits, right):
        opened.append(len(logits))
        assert describe(logits, right) == ""  # a float model of one product is right anywhere
        return describe(np.where(np.arange(len(logits))[:, None] < 3, right[::-1], logits), right)

    monkeypatch.setattr(run, "describe_wrong", compared)
    report = benchmark([stock, artifact("full")], examples, reference="full", settings=QUICK)
    row = report.rows[0]
    assert (row.error, opened) == (None, [40])
    assert row.note.startswith(
        "3 of its 40 answers are wrong on this processor (0 name another label)"
    )
    assert report.rows[1].note == ""


def test_rows_are_measured_together_and_failures_do_not_stop_them(
    artifact, export, examples, tmp_path
):
    missing = Subject("missing", "missing", "artifact", tmp_path / "nowhere", "onnxruntime")
    broken = artifact("broken", {"good": (float("nan"), 0.0)})
    steps = []
    report = benchmark(
        [missing, export, artifact("full"), broken],
        examples,
        reference="full",
        recommended="export",
        settings=QUICK,
        seed=1,
        progress=lambda *step: steps.append(step),
    )
    rows = {row.id: row for row in report.rows}

    assert list(rows) == [
        "missing",
        "export",
        "full",
        "broken",
    ]  # the table's order is the caller's
    assert "nowhere" in rows["missing"].error
    assert "no finite number" in rows["broken"].error
    assert rows["broken"].size_bytes > 0  # what was found out before stays
    full, other = rows["full"], rows["export"]
    assert (full.error, other.error) == (None, None)
    assert full.metric.value == pytest.approx(95.0)
    assert other.metric.value == pytest.approx(50.0)
    assert other.drop.value == pytest.approx(45.0)
    assert other.drop.low < 45 < other.drop.high
    assert other.drop.p_value < 0.01
    assert (full.drop.value, full.speedup.value) == (0.0, 1.0)
    for row in (full, other):
        assert row.end_to_end_ms.n == row.model_ms.n == 24
        assert row.speedup.low <= row.speedup.value <= row.speedup.high
        assert row.load_ms > 0
        assert row.rss_bytes > 2**20
        assert row.throughput_per_s > 0
        assert row.batch_label_changes is None  # full precision: answers come from batches
        assert np.shape(report.samples[row.id]["end_to_end_ms"]) == (4, 6)
    assert report.samples.keys() == {"full", "export"}
    assert report.compared == "export"
    assert report.quality.keys() == {"full", "export"}
    assert report.differences.items == 40
    # the export takes bad films for good ones
    assert {one.answer for one in report.differences.texts} == {"positive"}
    assert report.differences.reference_right - report.differences.answer_right == round(
        other.drop.value / 100 * 40
    )
    assert report.data["task"] == "text-classification"
    assert report.data["labels"] == ["negative", "positive"]
    assert report.method["rounds_measured"] == 4
    assert report.method["groups"] == 1
    assert all(0 <= done <= total for _, done, total in steps)
    assert {description.split(":")[0] for description, _, _ in steps} == {
        "accuracy",
        "latency",
        "throughput",
    }

    save_report(report, tmp_path / "report.json")
    assert load_report(tmp_path / "report.json").rows == report.rows
    assert "export on ONNX Runtime" in render_markdown(report)


def test_answers_that_depend_on_padding_are_those_of_single_texts(artifact, examples):
    scores = {"good": (0.0, 1.0), "bad": (1.0, 0.0), "[PAD]": (9.0, 0.0)}
    subjects = [artifact("masked", scores), artifact("seeing padding", scores, masked=False)]
    report = benchmark(subjects, examples, reference="masked", settings=QUICK)
    masked, other = report.rows
    assert other.metric.value == masked.metric.value == pytest.approx(95.0)
    assert "depend on the texts beside" in other.note
    assert not masked.note


def test_what_rows_answered_before_is_not_asked_again(artifact, examples):
    subjects = [artifact("first"), artifact("second")]
    answers = {"first": np.tile(np.float32([1, 0]), (len(examples), 1))}  # says "bad" to all

    report = benchmark(
        subjects, examples, reference="second", settings=LatencySettings(rounds=0), answers=answers
    )

    assert report.row("first").metric.value == 50.0
    assert report.row("second").metric.value == 95.0
    assert answers.keys() == {"first", "second"}


def test_a_reference_whose_answers_are_known_need_not_run(artifact, examples, tmp_path):
    gone = replace(artifact("gone"), path=tmp_path / "gone")
    answers = {"gone": np.tile(np.float32([1, 0]), (len(examples), 1))}  # says "bad" to all

    report = benchmark(
        [gone, artifact("here"), artifact("there")],
        examples,
        reference="gone",
        settings=QUICK,
        answers=answers,
        unopened=["gone"],
        memory_bytes=1,
    )

    gone, here, there = report.rows
    assert (gone.error, gone.metric.value, gone.end_to_end_ms) == (None, 50.0, None)
    for row in (here, there):
        assert row.drop.value == pytest.approx(-45.0)
        assert row.end_to_end_ms is not None
    # The first one that is timed stands in: rows of several groups have to be told apart.
    assert here.speedup.value == 1.0
    assert there.speedup is not None


def test_a_reference_below_chance_is_said_to_be(artifact, examples):
    swapped = artifact("swapped", {"good": (1.0, 0.0), "bad": (0.0, 1.0)})
    report = benchmark([swapped], examples, reference="swapped", settings=QUICK)
    [note] = [note for note in report.notes if "always answering" in note]
    assert note.startswith("The original model is right in 5.0% of the cases")
    assert "'negative' is 'positive', 'positive' is 'negative' of the model" in note


def test_batch_sizes_lengths_and_cold_starts(artifact, export, examples):
    settings = replace(QUICK, throughput_batches=(4, 16), cold_starts=2, lengths=(4, 16, 32, 999))
    steps = []
    report = benchmark(
        [artifact("full"), export],
        examples,
        reference="full",
        settings=settings,
        cold=["export"],
        progress=lambda *step: steps.append(step),
    )
    full, other = report.rows
    assert (full.error, other.error) == (None, None)
    for row in report.rows:
        assert row.throughput_batch in (4, 16)
        assert [point.tokens for point in row.by_length] == [4, 16, 32]  # 64 is what is kept
        assert all(point.p50_ms > 0 for point in row.by_length)
    assert full.cold_start_ms is None
    assert other.cold_start_ms > other.load_ms * 0.5
    assert {description.split(":")[0] for description, _, _ in steps} == {
        "accuracy",
        "latency",
        "latency by length",
        "throughput",
        "cold start",
    }
    text = render_markdown(report)
    assert "best batch size of 4, 16" in text
    assert "median of 2" in text
    assert length_plot(report, DESK) is not None


def test_a_reference_without_a_fast_tokenizer_costs_the_lengths_alone(artifact, examples, tmp_path):
    reference = artifact("full")
    settings = replace(QUICK, lengths=(4, 8))
    opened = reference.path / "tokenizer.json"
    kept = opened.read_text()
    opened.unlink()
    report = benchmark([reference], examples, reference="full", settings=settings)
    assert "tokenizer.json" in report.rows[0].error  # an artifact needs it, a checkpoint does not
    opened.write_text(kept)
    assert benchmark([reference], examples, reference="full", settings=QUICK).rows[0].error is None


def test_what_a_row_can_do_without_costs_a_note(artifact, examples, monkeypatch):
    real = Worker.time

    def long_ones_fail(self, indices, *, discard):
        if max(indices) >= len(examples):
            raise SubjectError("too long")
        return real(self, indices, discard=discard)

    monkeypatch.setattr(Worker, "time", long_ones_fail)
    settings = replace(QUICK, lengths=(4, 8))
    (row,) = benchmark([artifact("full")], examples, reference="full", settings=settings).rows
    assert row.error is None
    assert row.note == "latency by length was not measured: too long"
    assert row.speedup is not None


def test_what_stays_disturbed_is_left_out_and_named(artifact, examples, tmp_path, monkeypatch):
    busy = Taken(others_s=1.0, stolen_s=0.0, cores_s=2.0, allowed_s=0.2)
    monkeypatch.setattr("benchmarks.disturbance.Watch._taken", lambda watch: busy)
    monkeypatch.setenv(PATIENCE, "0")
    settings = replace(QUICK, cold_starts=1, lengths=(4, 8), throughput_batches=(4,))
    subjects = [artifact("full"), artifact("small", precision="int8")]
    report = benchmark(subjects, examples, reference="full", settings=settings)
    for row in report.rows:
        assert row.error is None
        assert not row.note
        assert (row.end_to_end_ms.p99, row.model_ms.p99, row.by_length) == (None, None, ())
        assert (row.throughput_per_s, row.throughput_alone_per_s, row.cold_start_ms) == (None,) * 3
    small = report.row("small")
    assert small.batch_label_changes == 0.0  # which no clock tells
    assert "other processes used 50% of the cores in 2 of 2 rounds" in small.doubt
    both = ["full", "small"]
    assert report.method["left_out"] == {
        "p99": both,
        "latency by length": both,
        "throughput": both,
        "cold start": both,
    }
    seen = report.method["disturbance"]
    assert (seen["measured"], seen["disturbed"], seen["kept"]) == (7, 7, 2)
    assert "p99 of all rows; latency by length of all rows; throughput" in render_markdown(report)
    assert latency_bars(report) is None
    save_report(report, tmp_path / "report.json")
    assert load_report(tmp_path / "report.json").rows == report.rows


def test_a_disturbance_that_ends_costs_nothing_but_time(artifact, examples, monkeypatch):
    """Every piece of work is disturbed once."""
    busy = Taken(others_s=1.0, stolen_s=0.0, cores_s=2.0, allowed_s=0.2)
    seen = iter([busy, None] * 500)
    monkeypatch.setattr("benchmarks.disturbance.Watch._taken", lambda watch: next(seen))
    monkeypatch.setattr("benchmarks.disturbance.Watch._wait_for_quiet", lambda watch: None)
    monkeypatch.setenv(PATIENCE, "60")
    monkeypatch.setattr("benchmarks.run._COLD", 1)
    settings = replace(QUICK, cold_starts=1, lengths=(4, 8), throughput_batches=(4,))
    (row,) = benchmark([artifact("full")], examples, reference="full", settings=settings).rows
    assert row.end_to_end_ms.p99 > 0
    assert len(row.by_length) == 2
    assert min(row.throughput_per_s, row.throughput_alone_per_s, row.cold_start_ms) > 0


def test_sessions_share_the_threads_of_their_row(artifact, monkeypatch):
    asked = []
    monkeypatch.setattr("runtimes.loading.load", lambda *_, **options: asked.append(options))
    subject = replace(artifact("full"), threads=4)
    open_subject(subject, 2)
    open_subject(subject)
    assert [(options["threads"], options["sessions"]) for options in asked] == [(2, 2), (4, 1)]


def test_rows_rest_before_each_length(monkeypatch):
    class Model:
        id = "a"

        def time(self, indices, *, discard):
            happened.append("timed")
            return np.ones(len(indices) - discard), np.ones(len(indices) - discard)

    happened = []
    monkeypatch.setattr("benchmarks.lengths.time.sleep", happened.append)
    curves = measure_lengths(
        [Model()],
        [(8, 0), (16, 1)],
        pause_s=0.5,
        watch=Watch(),
        on_failure=lambda *_: None,
        failures=(SubjectError,),
        progress=lambda *_: None,
    )
    assert happened == [0.5, "timed"] * 2
    assert [point.tokens for point in curves["a"]] == [8, 16]


def test_pairs_grow_in_their_first_sentence(artifact, examples):
    pairs = replace(examples, pairs=("a film",) * len(examples))
    found = texts_of_lengths(pairs, artifact("full").path, (8, 16))
    assert [tokens for tokens, _ in found] == [8, 16]
    assert {second for _, (_, second) in found} == {"a film"}
    assert texts_of_lengths(examples, artifact("other").path, ()) == []


def test_what_does_not_fit_into_memory_is_measured_in_groups_with_the_reference(artifact, examples):
    subjects = [artifact(name) for name in ("full", "one", "two")]
    report = benchmark(subjects, examples, reference="full", settings=QUICK, memory_bytes=1)
    rounds = {name: samples["rounds"] for name, samples in report.samples.items()}

    assert report.method["groups"] == 2
    assert rounds["one"] == [0, 1, 2, 3]
    assert rounds["two"] == [4, 5, 6, 7]
    assert rounds["full"] == rounds["one"] + rounds["two"]
    assert all(row.speedup is not None and row.rss_bytes for row in report.rows)


def test_without_its_reference_a_benchmark_still_has_rows(artifact, examples, tmp_path):
    absent = Subject("absent", "absent", "artifact", tmp_path / "nowhere", "openvino")
    report = benchmark([absent, artifact("one")], examples, reference="absent", settings=QUICK)

    assert report.row("absent").error is not None
    assert report.row("one").end_to_end_ms.n == 24
    assert (report.row("one").drop, report.row("one").speedup) == (None, None)


def test_sentence_pairs_are_measured_too(artifact, examples):
    pairs = replace(examples, pairs=tuple("film" for _ in examples.texts))
    one, single = artifact("one", pairs=True), artifact("single")
    report = benchmark([one, single], pairs, reference="one", settings=QUICK)

    assert report.row("one").error is None
    assert "made for single texts" in report.row("single").error
    assert report.row("one").metric.value == pytest.approx(95.0)


def test_what_cannot_be_benchmarked_is_refused_at_once(artifact, examples):
    one = artifact("one")

    with pytest.raises(UsageError, match="'two'"):
        benchmark([one], examples, reference="two")
    with pytest.raises(UsageError, match="more than once: one"):
        benchmark([one, one], examples, reference="one")
    with pytest.raises(DataError, match="no examples"):
        benchmark([one], examples.take([]), reference="one")


def test_reports_of_a_benchmark_are_plain_json(artifact, examples):
    report = benchmark([artifact("one")], examples, reference="one", settings=QUICK)

    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["rows"][0]["id"] == "one"


def test_a_reference_that_dies_on_the_way_takes_no_further_turns(artifact, examples, monkeypatch):
    calls = []
    measure = Worker.time

    def time(self, indices, *, discard):
        calls.append(self.id)
        if self.id == "full" and calls.count("full") == 3:
            os.kill(self.pid, signal.SIGKILL)
        return measure(self, indices, discard=discard)

    monkeypatch.setattr(Worker, "time", time)
    subjects = [artifact(name) for name in ("full", "one", "two")]
    report = benchmark(subjects, examples, reference="full", settings=QUICK, memory_bytes=1)

    assert calls.count("full") == 3
    assert "SIGKILL" in report.row("full").error
    assert report.row("full").metric is not None
    assert report.row("one").end_to_end_ms.n == report.row("two").end_to_end_ms.n == 24
    assert report.row("two").drop.value == 0.0  # accuracy was known before


def test_an_interrupted_benchmark_leaves_no_process_behind(artifact, examples):
    def interrupt(description, done, total):
        if description == "latency":
            raise KeyboardInterrupt

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(KeyboardInterrupt):
        benchmark(
            [artifact("one"), artifact("two")],
            examples,
            reference="one",
            settings=QUICK,
            progress=interrupt,
        )
    assert set(psutil.Process().children(recursive=True)) <= before
