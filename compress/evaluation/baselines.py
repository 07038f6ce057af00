"""Makes the stock exports, which a user would have picked instead, beside the family's."""

import contextlib
import json
import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import start_module
from benchmarks.subjects import Subject
from compress.system.progress import Progress
from compress.system.workspace import Workspace
from export.stock import STOCK_EXPORTS, StockName

__all__ = ["StockExports"]

_log = logging.getLogger("edgepress")


class StockExports:
    """Makes the stock exports that are not there yet in a process of its own.

    Use it as a context manager: entering it starts the process, leaving it ends the process,
    whatever happened.

    Args:
        checkpoint: The original model.
        workspace: Where the exports are kept.
        key: Digest of what they depend on.
        calibration: Model inputs, each (B, T), for static quantization.
        names: Those of `STOCK_EXPORTS` to make; None is all.
    """

    def __init__(
        self,
        checkpoint: Path,
        workspace: Workspace,
        key: str,
        calibration: Sequence[dict[str, NDArray[np.int64]]],
        *,
        names: Sequence[StockName] | None = None,
    ) -> None:
        self._checkpoint, self._calibration = checkpoint, calibration
        self._targets: dict[StockName, Path] = {
            name: workspace.stock(name, key)
            for name in STOCK_EXPORTS
            if names is None or name in names
        }
        self._missing = {n: folder for n, folder in self._targets.items() if not folder.is_dir()}
        self._stderr = workspace.scratch / "stock-exports.stderr"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if self._missing:
            self._process = start_module("export.stock_worker", self._stderr)
            request = {
                "checkpoint": str(self._checkpoint),
                "calibration": [
                    {name: rows.tolist() for name, rows in batch.items()}
                    for batch in self._calibration
                ],
                "targets": {name: str(folder) for name, folder in self._missing.items()},
            }
            with contextlib.suppress(OSError):  # it died: `subjects` says why
                print(json.dumps(request), file=self._process.stdin, flush=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError), self._process:  # closes pipes it never read
                self._process.kill()  # done, or not wanted any more

    def subjects(self, threads: int | None, progress: Progress) -> list[Subject]:
        """Wait for the exports; return the benchmark's rows for those that could be made.

        Args:
            threads: CPU threads they are to be measured with.
            progress: Told of each export.
        """
        failed = self._wait(progress) if self._missing else {}
        for name, message in failed.items():
            _log.warning("stock export %s left out: %s", name, message)
        return [
            Subject(
                id=f"stock-{name}",
                model=STOCK_EXPORTS[name][2],
                kind="export",
                path=folder,
                runtime=STOCK_EXPORTS[name][0],
                # a float OpenVINO file runs in whatever the library picks by default
                precision=None if name == "openvino-fp32" else STOCK_EXPORTS[name][1],
                threads=threads,
                # As it runs for who takes it, wrong answers included; of float there are none.
                options={"workarounds": False} if name == "openvino-int8" else {},
            )
            for name, folder in self._targets.items()
            if name not in failed
        ]

    def _wait(self, progress: Progress) -> dict[StockName, str]:
        """Return why exports failed, by name."""
        assert self._process is not None  # there is something to wait for
        assert self._process.stdout is not None
        left, failed = dict(self._missing), {}
        with progress.track("stock exports to compare with", len(left)) as task:
            for line in self._process.stdout:
                answer: dict[str, Any] = json.loads(line)
                del left[answer["name"]]
                if answer["error"] is not None:
                    failed[answer["name"]] = answer["error"]
                task.advance()
        if left:  # it ended before it was done
            lines = self._stderr.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1] if lines else "it was ended from outside"
            failed |= dict.fromkeys(left, f"the process that makes it died: {reason}")
        return failed
