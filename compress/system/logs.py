"""`run.log`: what a run did and decided, with times."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["logging_to"]


class _LogFile(logging.FileHandler):
    """A log that goes without a line where the disk is full: what the run does fails by name."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say nothing."""


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append the `edgepress` logger's lines to a file; a resumed run goes on in the same one."""
    logger = logging.getLogger("edgepress")
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)  # by Ctrl-C, or by a signal that it names
        what = str(error) or "Ctrl-C" if stopped else f"{type(error).__name__}: {error}"
        logger.error("stopped: %s", what)
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.close()
