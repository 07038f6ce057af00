"""Starts, asks and ends `benchmarks.worker`, each within a time limit."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import inherited_environment, start_module
from benchmarks.memory import current_rss_bytes
from benchmarks.subjects import Subject
from runtimes.errors import EdgepressError

__all__ = ["Opened", "SubjectError", "Worker"]

_SECONDS_PER_INPUT = 1.0  # on top of the timeout: whole splits on slow models are no hang


class SubjectError(EdgepressError):
    """A row's process failed, died or did not answer in time; the other rows go on."""


@dataclass(frozen=True)
class Opened:
    """Facts about a subject that its process has opened.

    The fields are those of `benchmarks.report.Row`, and the tokens that it keeps of an input.
    """

    runtime: str
    device: str
    precision: str
    labels: tuple[str, ...]
    load_ms: float
    size_bytes: int
    max_length: int


class Worker:
    """A process that holds one subject open.

    Args:
        subject: What to open.
        inputs: JSON file with the list of inputs (strings or pairs).
        scratch: Folder for logits and the process's stderr.
        timeout_s: Seconds without an answer after which the process is ended.

    Use it as a context manager: leaving it ends the process, whatever happened.
    """

    def __init__(
        self, subject: Subject, inputs: Path, scratch: Path, *, timeout_s: float = 600.0
    ) -> None:
        self.subject = subject
        self._inputs = inputs
        self._scratch = scratch
        self._timeout_s = timeout_s
        self._stderr_path = scratch / f"worker-{os.urandom(6).hex()}.stderr"
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = start_module(
            "benchmarks.worker", self._stderr_path, _environment(subject.threads)
        )
        # Reading with a timeout: select() does not do pipes on Windows, a thread and a queue do.
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def id(self) -> str:
        """The subject's id."""
        return self.subject.id

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def open(self) -> Opened:
        """Open the subject.

        Raises:
            SubjectError: It cannot be opened; the message is the one `runtimes` gave.
        """
        answer = self._ask("open", subject=self.subject.to_json(), inputs=str(self._inputs))
        del answer["ok"]
        return Opened(**{**answer, "labels": tuple(answer["labels"])})

    def predict(
        self, *, count: int, batch_size: int = 1, sessions: int = 1
    ) -> tuple[NDArray[np.float32], float]:
        """Return the logits of the first `count` inputs.

        Args:
            count: How many.
            batch_size: At once.
            sessions: Of an artifact, how many share the work.

        Returns:
            Logits, (count, C) float32, and the seconds that it took, tokenization included.

        Raises:
            SubjectError: The model failed, or its logits are not finite numbers.
        """
        path = self._scratch / f"logits-{os.urandom(6).hex()}.npy"
        answer = self._ask(
            "predict",
            path=str(path),
            batch_size=batch_size,
            limit=count,
            sessions=sessions,
            _inputs=count,
        )
        logits: NDArray[np.float32] = np.load(path, allow_pickle=False)
        path.unlink()
        if not np.isfinite(logits).all():
            raise SubjectError("its outputs are not finite numbers (NaN or infinity)")
        return logits, float(answer["seconds"])

    def time(
        self, indices: Sequence[int], *, discard: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return milliseconds of single inputs, end to end and model only: `latency.Timeable`.

        Raises:
            SubjectError: The model failed.
        """
        answer = self._ask("time", indices=list(indices), discard=discard, _inputs=2 * len(indices))
        return np.asarray(answer["end_to_end_ms"]), np.asarray(answer["model_ms"])

    def peak_rss_bytes(self) -> int:
        """Return the most memory that the process held until now.

        Raises:
            SubjectError: The process is gone.
        """
        return int(self._ask("memory")["peak_rss_bytes"])

    def rss_bytes(self) -> int:
        """Return the memory that the process holds now; 0 where it is gone."""
        return current_rss_bytes(self.pid)

    def close(self) -> None:
        """End the process; safe to call in any state and more than once."""
        if self._process.poll() is None:
            try:
                self._send({"op": "close"})
                self._process.wait(timeout=10)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(OSError), self._process:
            pass  # closes the pipes; unsent requests of a process that is gone are lost

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self._process.kill()  # after a failure or Ctrl-C nobody waits for a polite end
        self.close()

    def _ask(self, op: str, *, _inputs: int = 0, **arguments: Any) -> dict[str, Any]:
        timeout_s = self._timeout_s + _inputs * _SECONDS_PER_INPUT
        try:
            self._send({"op": op, **arguments})
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            self._process.kill()
            self._process.wait()
            raise SubjectError(
                f"gave no answer to '{op}' within {timeout_s:.0f} s and was ended"
            ) from None
        except OSError:
            line = None
        if line is None:
            raise SubjectError(self._describe_end())
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            fault = answer["error"]
            raise SubjectError(fault["message"], hint=fault["hint"])
        return answer

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._answers.put(line)
        except ValueError:
            pass  # closed by `close` while waiting for a line
        self._answers.put(None)

    def _describe_end(self) -> str:
        code = self._process.wait()
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            why = f"was killed ({name})"
            if name == "SIGKILL":
                why += ", often for want of memory"
        else:
            why = f"ended with exit code {code}"
        last = self._stderr_path.read_text(encoding="utf-8", errors="replace").strip()
        return f"its process {why}" + (f": {last.splitlines()[-1]}" if last else "")


def _environment(threads: int | None) -> dict[str, str]:
    # Read by OpenMP when it is loaded: later is too late for some libraries.
    asked = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return inherited_environment() | asked
