"""Silence for other people's libraries: progress and errors are shown in our own words."""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["quiet", "without_bars"]

_BARS = ("transformers.utils.logging", "datasets.utils.tqdm")


@contextmanager
def quiet(*libraries: str, level: int = logging.ERROR) -> Iterator[None]:
    """Silence libraries in this block: their log lines below a level, and all progress bars.

    Args:
        libraries: Names of their loggers. One that sets its level when it is imported has to be
            imported before.
        level: What is still logged.
    """
    with without_bars(), ExitStack() as stack:
        for logger in map(logging.getLogger, libraries):
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(level)
        yield


@contextmanager
def without_bars() -> Iterator[None]:
    """Let transformers, datasets and the hub's client show no bars in this block, if loaded."""
    bars: list[Any] = [sys.modules[name] for name in _BARS if name in sys.modules]
    hidden = [each for each in bars if each.is_progress_bar_enabled()]
    for each in hidden:
        each.disable_progress_bar()
    try:
        yield
    finally:
        for each in hidden:
            each.enable_progress_bar()
