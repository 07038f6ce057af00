"""The process that stock exports are made in.

Tracing and NNCF keep one core busy for a minute and a half: time in which the parent
(`compress.evaluation.baselines`) exports the family. It writes one line of JSON to stdin and keeps
it open as long as it lives:

    {"checkpoint": FOLDER, "calibration": [{input: nested list}, ...], "targets": {name: FOLDER}}

and reads one line from stdout for each target, `{"name": ..., "error": message | null}`.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO

import numpy as np

from export.stock import export_stock
from runtimes.errors import ModelError

__all__ = ["main"]


def main() -> None:
    """Make what stdin asks for; ends at once when stdin does (the parent is gone)."""
    # Ctrl-C reaches every process of the terminal; the parent is the one that ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    # Libraries print, some of them from C++ to descriptor 1.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        calibration = [
            {name: np.array(rows, dtype=np.int64) for name, rows in batch.items()}
            for batch in request["calibration"]
        ]
        for name, target in request["targets"].items():
            error = None
            try:
                export_stock(Path(request["checkpoint"]), Path(target), name, calibration)
            except ModelError as fault:
                error = fault.message
            answers.write(json.dumps({"name": name, "error": error}) + "\n")
            answers.flush()


def _end_with(parent: IO[str]) -> None:
    parent.read()
    os._exit(1)  # in the middle of an export too: what is half-written has another name
