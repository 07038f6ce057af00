"""A line of JSON for each thing that happens, without a word of what users wrote."""

import json
import logging
import sys
import threading
import time
import traceback
from typing import Any, TextIO

__all__ = ["Log", "take_over"]


class Log:
    """Writes lines of JSON; those of several threads do not mix.

    Args:
        stream: Where to; None is stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Write a line: time in UTC, level, event, and what is known of it."""
        now = time.time()
        stamp = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        )
        line = json.dumps({"time": stamp, "level": level, "event": event, **fields}, default=str)
        stream = self._stream or sys.stderr
        with self._lock:
            try:
                stream.write(line + "\n")
                stream.flush()
            except (OSError, ValueError):
                pass  # the log's reader is gone, or its disk is full: answers go on

    def failure(self, event: str, error: BaseException, **fields: Any) -> None:
        """Write what went wrong: its kind and where, not its words, which may be a user's."""
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self.write(event, level="error", error=type(error).__name__, where=where, **fields)


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.failure("server", error)
        else:
            self._log.write("server", level=record.levelname.lower(), message=record.getMessage())


def take_over(log: Log) -> None:
    """Let the server's libraries write their warnings into our log, and nothing else anywhere."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [_Handler(log)]
        logger.propagate = False
        logger.setLevel(logging.WARNING)
