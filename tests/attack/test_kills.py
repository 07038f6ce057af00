"""Kills and signals at random moments: nothing is half, and what goes on ends the same."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes.artifact import read_manifest, verify

# Writes TARGET over and over; each time its files say which turn wrote them.
WRITER = """
    import sys
    from pathlib import Path
    from runtimes.artifact import Manifest, ModelEntry, write_artifact

    entry = ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32")
    manifest = Manifest(
        "text-classification", ("no", "yes"), "single_label_classification", 8, 0, False, (entry,)
    )
    turn = 0

    def populate(folder):
        for name in ("config.json", "onnx/model.onnx", "onnx/more/file"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{turn} " * 10_000)

    print("ready", flush=True)
    while True:
        write_artifact(Path(sys.argv[1]), manifest, populate)
        turn += 1
"""


def test_writers_that_are_killed(tally: Any, chosen: Any, tmp_path: Path) -> None:
    target = tmp_path / "artifact"
    code = textwrap.dedent(WRITER)
    for moment in chosen(list(np.random.default_rng(3).uniform(0, 0.1, 30)), 2):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(moment)
            writer.kill()

        def texts() -> set[str]:
            if not target.exists():  # in the very first turn, or between two renames
                previous = target.with_name(f".{target.name}.previous")
                if not previous.exists():
                    return {""}
                previous.rename(target)
            manifest = read_manifest(target)
            verify(target, manifest)
            return {(target / name).read_text() for name in manifest.files}

        tally.judge(f"killed after {moment:.3f} s", texts, lambda found: len(found) == 1)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    ) as writer:
        time.sleep(1)
        writer.kill()
    left = {path.name for path in tmp_path.iterdir()} - {"artifact", ".artifact.previous"}
    tally.count("what they left", fault="" if len(left) <= 1 else f"{left}")


# Imports once, and starts each command that it is sent as a process of its own.
NURSERY = """
    import json, os, signal, sys, traceback

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
    import datasets, nncf, onnx, onnxruntime, openvino, torch, transformers
    from compress.cli.app import main
    import compress.api, compress.pipeline.run, compress.training.run, export.package
    import compress.encoder.importers.registry, benchmarks.run

    def start(arguments, log):
        sys.stdout = sys.stderr = open(log, "a", buffering=1)
        os.dup2(sys.stderr.fileno(), 2)
        try:
            code = main(arguments)
        except BaseException:
            traceback.print_exc()
            code = 99
        sys.stderr.flush()
        os._exit(code)

    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            start(*json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Starts commands without the seconds that imports take."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(NURSERY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self._read() == "ready"

    def run(
        self, arguments: list[str], log: Path, *, after: float = 0, number: int | None = None
    ) -> int:
        """Run a command, which gets a signal after so many seconds, and return its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([arguments, str(log)]) + "\n")
        self._process.stdin.flush()
        child = int(self._read())
        if number is not None:
            time.sleep(after)
            os.kill(child, number)  # one that has ended stays there until it is waited for
        return int(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def command(task: Any, out: Path) -> list[str]:
    """A run of every stage on one runtime, of a quarter of a minute."""
    return [
        *(str(task.model), "--data", str(task.data), "--out", str(out), "--max-drop", "50"),
        *("distill.epochs=1", "distill.augment=1", "distill.learning_rate=1e-3"),
        *("distill.layers=2", "distill.enough=0", "prune.steps=1", "prune.neuron_step=8"),
        *("quantize.calibration_texts=4", "quantize.alternatives=false", "speedups=[]"),
        *("stages=[prune, distill, quantize]", "threads=1", "benchmark.rounds=2"),
        *("benchmark.sentences=5", "benchmark.baselines=[]", "runtimes=[onnxruntime]"),
        *("benchmark.every_runtime=false", "benchmark.cold_starts=0"),
        "benchmark.throughput=false",
    ]


def results(out: Path) -> dict[str, str]:
    """Return what does not hang on the clock: every weight, graph and configuration."""
    found = {}
    for path in sorted((out / ".edgepress" / "members").glob("*/manifest.json")):
        for name, entry in read_manifest(path.parent).files.items():
            found[f"{path.parent.name}/{name}"] = entry["sha256"]
    for folder in [out / "artifact", *sorted((out / "family").iterdir())]:
        manifest = read_manifest(folder)
        verify(folder, manifest)
    for path in sorted((out / ".edgepress" / "encoders").glob("*/*.safetensors")):
        found[f"{path.parent.name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["what is there"] = " ".join(sorted(path.name for path in out.iterdir()))
    return found


@pytest.fixture(scope="module")
def undisturbed(
    task: Any, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], float]:
    """What a run that nobody disturbs comes to, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    start = time.monotonic()
    code = nursery.run(command(task, folder / "out"), folder / "log")
    assert code == 0, (folder / "log").read_text()
    return results(folder / "out"), time.monotonic() - start


@pytest.mark.attack
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chain", range(4))
def test_runs_that_are_killed_and_go_on(
    task: Any, tally: Any, nursery: Nursery, undisturbed: Any, tmp_path: Path, chain: int
) -> None:
    expected, seconds = undisturbed
    out, log = tmp_path / "out", tmp_path / "log"
    for moment in np.random.default_rng([7, chain]).uniform(0, seconds, 5):
        code = nursery.run(command(task, out), log, after=moment, number=signal.SIGKILL)
        fault = "" if code in (0, -signal.SIGKILL) else f"{code}: {log.read_text()[-300:]}"
        tally.count(f"killed after {moment:.1f} s", fault=fault)
    code = nursery.run(command(task, out), log)
    assert code == 0, log.read_text()
    tally.judge("what it comes to", lambda: results(out), expected)
    left = [str(path) for path in out.rglob("*.partial")]
    left += [str(path) for path in (out / ".edgepress").glob("scratch*")]
    tally.count("what is left", fault=" ".join(left))


@pytest.mark.attack
@pytest.mark.timeout(3600)
def test_runs_that_are_stopped(
    task: Any, tally: Any, nursery: Nursery, undisturbed: Any, tmp_path: Path
) -> None:
    expected, seconds = undisturbed
    out, log = tmp_path / "out", tmp_path / "log"
    for place, moment in enumerate(np.random.default_rng(8).uniform(0, 0.7 * seconds, 12)):
        number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[place % 3]
        log.unlink(missing_ok=True)
        shutil.rmtree(out, ignore_errors=True)
        code = nursery.run(command(task, out), log, after=moment, number=number)
        said = log.read_text()
        sound = code == 128 + number and "goes on from the last finished stage" in said
        # Before its first line, or as the last one is done.
        sound |= code in (0, -number) and "Traceback" not in said
        tally.count(f"{number.name} after {moment:.1f} s", fault="" if sound else f"{code} {said}")
    code = nursery.run(command(task, out), log)
    assert code == 0, log.read_text()
    tally.judge("what it comes to", lambda: results(out), expected)


@pytest.mark.attack  # what it meets in Python's own start depends on the moment
def test_commands_that_are_stopped(
    published: Path, tally: Any, chosen: Any, tmp_path: Path
) -> None:
    """A command that waits for its input, at every moment of its start and later."""
    moments = np.concatenate([np.linspace(0.0, 0.8, 30), np.linspace(0.9, 2.0, 15)])
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    cases = [(float(moment), numbers[place % 3]) for place, moment in enumerate(moments)]
    for moment, number in chosen(cases, 4):
        with subprocess.Popen(
            [sys.executable, "-m", "edgepress", "predict", str(published)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            # A process started in the background of a script ignores SIGINT, under nohup SIGHUP.
            preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in numbers],  # noqa: PLW1509
        ) as process:
            time.sleep(moment)
            process.send_signal(number)
            assert process.stderr is not None
            said = process.stderr.read()
        code = process.returncode
        # What Python does before it comes to this package is Python's.
        ours = "Traceback" in said and str(Path(__file__).parents[2]) in said
        sound = code in (128 + number, -number) or (code == 1 and number == signal.SIGINT)
        fault = "" if sound and not ours else f"{code} {said[-300:]}"
        tally.count(f"{number.name} after {moment:.2f} s", fault=fault)
