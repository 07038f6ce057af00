"""Answers requests in the process that a row is measured in.

One process a row, so that no library's threads, allocator or crash touches another row and so that
memory can be told apart. The parent (`benchmarks.client`) writes one JSON object a line to stdin
and reads one a line from stdout:

    {"op": "open", "subject": {...}, "inputs": FILE}    runtime, device, precision, labels,
                                                        load_ms, size_bytes, max_length
    {"op": "predict", "path": FILE.npy, "batch_size": B, "limit": N | null, "sessions": K}
                                                        seconds; the logits (N, C) are in the file
    {"op": "time", "indices": [...], "discard": K}      end_to_end_ms, model_ms: without the first K
    {"op": "memory"}                                    peak_rss_bytes
    {"op": "close"}                                     ends the process

Every answer has `"ok"`; where it is false, `"error"` has `type`, `message` and `hint`.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from benchmarks.memory import peak_rss_bytes
from benchmarks.subjects import Subject, model_size_bytes, open_subject
from runtimes.errors import EdgepressError, UsageError

if TYPE_CHECKING:
    from runtimes.pipeline import Predictor

__all__ = ["Server", "main", "serve"]


class Server:
    """Answers the requests about one subject."""

    def __init__(self, opener: "Callable[..., Predictor]" = open_subject) -> None:
        self._opener = opener
        self._subject: Subject | None = None
        self._predictor: Predictor | None = None
        self._pool: tuple[int, Predictor] | None = None
        self._inputs: list[Any] = []
        self._operations: dict[str, Callable[..., dict[str, Any]]] = {
            "open": self._open,
            "predict": self._predict,
            "time": self._time,
            "memory": self._memory,
            "close": self._close,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; what goes wrong is an answer too."""
        arguments = dict(request)
        try:
            operation = self._operations.get(arguments.pop("op", ""))
            if operation is None:
                raise UsageError(f"the benchmark worker knows no {request.get('op')!r}")
            return {"ok": True, **operation(**arguments)}
        except EdgepressError as error:
            fault = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        except Exception as error:  # noqa: BLE001 - any failure of a library is this row's result
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
            fault = {"type": type(error).__name__, "message": message, "hint": None}
        return {"ok": False, "error": fault}

    def _open(self, *, subject: dict[str, Any], inputs: str) -> dict[str, Any]:
        wanted = Subject(**subject)
        texts = json.loads(Path(inputs).read_text(encoding="utf-8"))
        self._inputs = [text if isinstance(text, str) else tuple(text) for text in texts]
        started = time.perf_counter_ns()
        self._predictor, self._subject = self._opener(wanted), wanted
        load_ms = (time.perf_counter_ns() - started) / 1e6
        session = self._predictor.session
        return {
            "runtime": session.runtime,
            "device": session.device,
            "precision": session.precision,
            "labels": list(self._predictor.labels),
            "max_length": self._predictor.tokenizer.max_length,
            "load_ms": load_ms,
            "size_bytes": model_size_bytes(wanted),
        }

    def _predict(
        self, *, path: str, batch_size: int, limit: int | None, sessions: int
    ) -> dict[str, Any]:
        import numpy as np

        inputs = self._inputs[:limit]
        predictor = self._opened() if sessions == 1 else self._several(sessions)
        started = time.perf_counter_ns()
        logits = predictor.logits(inputs, batch_size=batch_size)
        seconds = (time.perf_counter_ns() - started) / 1e9
        np.save(path, np.asarray(logits, dtype=np.float32), allow_pickle=False)
        return {"seconds": seconds}

    def _time(self, *, indices: list[int], discard: int) -> dict[str, Any]:
        predictor = self._opened()
        clock, run = time.perf_counter_ns, predictor.session.run
        inputs = [self._inputs[i] for i in indices]
        end_to_end = []
        for text in inputs:
            started = clock()
            predictor(text)
            end_to_end.append((clock() - started) / 1e6)
        # A pass of its own, so that no sentence's model time follows right on the same sentence.
        model_only = []
        for arrays in [predictor.encode([text]) for text in inputs]:
            started = clock()
            run(arrays)
            model_only.append((clock() - started) / 1e6)
        return {"end_to_end_ms": end_to_end[discard:], "model_ms": model_only[discard:]}

    def _several(self, sessions: int) -> "Predictor":
        """Open the subject several times, until it is closed or another number is asked for."""
        self._opened()
        assert self._subject is not None  # it is open
        if self._pool is None or self._pool[0] != sessions:
            if self._pool is not None:
                self._pool[1].close()
            self._pool = sessions, self._opener(self._subject, sessions)
        return self._pool[1]

    def _memory(self) -> dict[str, Any]:
        return {"peak_rss_bytes": peak_rss_bytes()}

    def _close(self) -> dict[str, Any]:
        for predictor in (self._predictor, None if self._pool is None else self._pool[1]):
            if predictor is not None:
                predictor.close()
        self._predictor = self._pool = None
        return {}

    def _opened(self) -> "Predictor":
        if self._predictor is None:
            raise UsageError("the benchmark worker was asked to run a model before opening it")
        return self._predictor


def serve(requests: IO[str], answers: IO[str], server: Server) -> None:
    """Answer until `close` or the end of `requests` (the parent is gone)."""
    for line in requests:
        request = json.loads(line)
        answers.write(json.dumps(server.answer(request)) + "\n")
        answers.flush()
        if request.get("op") == "close":
            return


def main() -> None:
    """Serve on this process's stdin and stdout."""
    # Ctrl-C reaches every process of the terminal; the parent is the one that ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries print, some of them from C++ to descriptor 1: the protocol moves to descriptors of
    # its own, and whatever is printed from here on goes to stderr.
    with (
        os.fdopen(os.dup(0), "r", encoding="utf-8") as requests,
        os.fdopen(os.dup(1), "w", encoding="utf-8") as answers,
    ):
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        serve(requests, answers, Server())


if __name__ == "__main__":
    main()
