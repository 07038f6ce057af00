"""A row's process: what it answers, and that its failure is neither a hang nor a crash of ours."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import align_logits, predict, write_inputs
from benchmarks.client import SubjectError, Worker
from benchmarks.subjects import Subject, model_size_bytes
from benchmarks.tasks import get_measure
from benchmarks.worker import Server
from runtimes.errors import ArtifactError, UsageError

NOISY = """
import ctypes, os, sys
import benchmarks.worker as worker

class Session:
    runtime, device, precision = "fake", "cpu", "fp32"

class Tokenizer:
    max_length = 64

class Predictor:
    session, tokenizer, labels = Session(), Tokenizer(), ("a", "b")
    def close(self): print("closing")

def opener(subject):
    print("Loading weights:  50%", flush=True)
    os.write(1, b"written by C code to descriptor 1\\n")
    input_is_not_ours = sys.stdin.read() if not sys.stdin.closed else ""
    print(repr(input_is_not_ours))
    return Predictor()

worker.Server.__init__.__defaults__ = (opener,)
worker.model_size_bytes = lambda subject: 7
worker.main()
"""


@pytest.fixture
def start(examples, tmp_path):
    """Starts a worker for a subject; all are ended with the test."""
    workers = []

    def begin(subject: Subject, **keywords) -> Worker:
        workers.append(Worker(subject, write_inputs(examples, tmp_path), tmp_path, **keywords))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def test_a_subject_is_opened_run_timed_and_weighed(artifact, examples, start):
    worker = start(artifact("words"))
    opened = worker.open()
    logits, seconds = worker.predict(count=len(examples))
    batched, _ = worker.predict(count=10, batch_size=4)
    end_to_end, model = worker.time([3, 1, 2, 0], discard=1)

    assert (opened.runtime, opened.device, opened.precision) == ("onnxruntime", "cpu", "fp32")
    assert opened.labels == ("negative", "positive")
    assert opened.load_ms > 0
    assert opened.size_bytes == (worker.subject.path / "onnx/model.onnx").stat().st_size
    assert logits.shape == (40, 2)
    assert (logits.argmax(axis=1) == [1 - i % 2 for i in range(40)]).all()
    assert (batched == logits[:10]).all()
    assert seconds > 0
    assert end_to_end.shape == model.shape == (3,)
    assert (end_to_end > 0).all()
    assert (model > 0).all()
    # The kernel sums both from counters per CPU that lag behind each other by some pages.
    now = worker.rss_bytes()
    assert 2**20 < now < worker.peak_rss_bytes() + 2**20 < 2**33


def test_memory_is_the_rows_own_and_not_what_the_parent_held(artifact, start):
    ballast = np.ones(400 * 2**20 // 8)  # the kernel's own high-water mark would include it
    worker = start(artifact("words"))
    worker.open()

    assert worker.peak_rss_bytes() < ballast.nbytes


def test_what_libraries_print_stays_out_of_the_protocol(tmp_path):
    inputs = tmp_path / "inputs.json"
    inputs.write_text('["text"]')
    subject = Subject("id", "model", "artifact", tmp_path, "fake").to_json()
    requests = [
        {"op": "open", "subject": subject, "inputs": str(inputs)},
        {"op": "x" * 100_000},  # more than a read buffer: it is still in the pipe during `open`
        {"op": "close"},
    ]
    done = subprocess.run(
        [sys.executable, "-c", NOISY],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]

    assert [answer["ok"] for answer in answers] == [True, False, True]
    assert answers[0]["size_bytes"] == 7
    assert "Loading weights" in done.stderr
    assert "descriptor 1" in done.stderr
    assert "closing" in done.stderr
    assert "''" in done.stderr  # stdin is empty for libraries: requests are not theirs to read


def test_what_cannot_be_opened_says_why(start, tmp_path):
    worker = start(Subject("none", "none", "artifact", tmp_path / "nowhere", "onnxruntime"))

    with pytest.raises(SubjectError, match="nowhere"):
        worker.open()


def test_a_killed_process_is_an_error_with_its_signal(artifact, start):
    worker = start(artifact("words"))
    worker.open()
    os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(SubjectError, match="SIGKILL"):
        worker.time([0], discard=0)
    with pytest.raises(SubjectError, match="SIGKILL"):  # and stays one
        worker.peak_rss_bytes()
    assert worker.rss_bytes() == 0


def test_a_hanging_process_is_ended_in_time(artifact, start):
    worker = start(artifact("words"), timeout_s=1.0)
    worker._timeout_s = 60.0  # starting up may take longer than the hang is given
    worker.open()
    worker._timeout_s = 0.5
    os.kill(worker.pid, signal.SIGSTOP)

    with pytest.raises(SubjectError, match="no answer to 'memory'"):
        worker.peak_rss_bytes()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_a_process_that_ends_by_itself_leaves_its_last_words(artifact, start, monkeypatch):
    script = "import sys; sys.exit('out of luck')"
    monkeypatch.setattr("benchmarks.child.module_command", lambda _: [sys.executable, "-c", script])

    with pytest.raises(SubjectError, match="exit code 1: out of luck"):
        start(artifact("words")).open()


def test_a_folder_called_benchmarks_where_the_user_works_is_not_ours(
    artifact, start, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "project"
    (elsewhere / "benchmarks").mkdir(parents=True)
    (elsewhere / "benchmarks" / "__init__.py").write_text("raise SystemExit('not yours')")
    monkeypatch.chdir(elsewhere)

    assert start(artifact("words")).open().runtime == "onnxruntime"


def test_outputs_that_are_no_numbers_are_an_error(artifact, start):
    worker = start(artifact("broken", {"good": (float("nan"), 0.0)}))
    worker.open()

    with pytest.raises(SubjectError, match="no finite number"):
        worker.predict(count=4)


def test_requests_that_make_no_sense_are_answered(tmp_path):
    server = Server()

    assert server.answer({"op": "dance"})["error"]["type"] == "UsageError"
    assert (
        "before opening"
        in server.answer({"op": "time", "indices": [0], "discard": 0})["error"]["message"]
    )
    assert server.answer({"op": "close"}) == {"ok": True}


def test_evaluation_gives_predictions_and_accuracy(artifact, examples, tmp_path):
    with Worker(artifact("words"), write_inputs(examples, tmp_path), tmp_path) as worker:
        result = predict(worker, worker.open().labels, examples)

    metric = get_measure(examples).metric(result, examples)
    assert metric.value == pytest.approx(95.0)  # two of forty are labelled wrongly
    assert result.shape[0] == 40


def test_labels_are_matched_by_name():
    logits = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)

    same = align_logits(logits, ("a", "b", "c"), ("A", "B", "C"))
    moved = align_logits(logits, ("c", "a", "b"), ("a", "b", "c"))
    generic = align_logits(logits, ("LABEL_0", "LABEL_1", "LABEL_2"), ("a", "b", "c"))

    assert same.tolist() == generic.tolist() == [[1, 2, 3]]
    assert moved.tolist() == [[2, 3, 1]]
    for others in (("a", "b"), ("a", "b", "x"), ("a", "b", "c", "d")):
        with pytest.raises(SubjectError, match="do not match"):
            align_logits(logits, others, ("a", "b", "c"))


def test_size_counts_the_runtimes_own_model_files(tmp_path):
    for name, size in {
        "model.onnx": 10, "model.onnx.data": 100, "other.onnx": 5000, "openvino_model.xml": 1,
        "openvino_model.bin": 2, "tokenizer.json": 5000, "model-1.safetensors": 20,
        "model-2.safetensors": 30, "pytorch_model.bin": 5000,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(b"x" * size)

    def size_of(kind, runtime):
        return model_size_bytes(Subject("id", "m", kind, tmp_path, runtime))

    assert size_of("export", "onnxruntime") == 110
    assert size_of("export", "openvino") == 3
    assert size_of("checkpoint", "pytorch") == 50
    with pytest.raises(ArtifactError, match="no model file"):
        model_size_bytes(Subject("id", "m", "export", Path(tmp_path / "no"), "onnxruntime"))


def test_kinds_are_checked():
    with pytest.raises(UsageError, match="checkpoint, artifact, export"):
        Subject("id", "m", "folder", Path(), "onnxruntime")  # type: ignore[arg-type]
