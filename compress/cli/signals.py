"""Signals that ask a command to stop: all end it as Ctrl-C does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["stopping_signals"]

# Of docker stop, systemd and CI; of a terminal that was closed (Windows has none).
_NAMES = ("SIGTERM", "SIGHUP")


@contextmanager
def stopping_signals() -> Iterator[list[signal.Signals]]:
    """Raise KeyboardInterrupt at SIGTERM and SIGHUP within this block.

    So temporary files are removed and the log says why it ends. A signal that is ignored (`nohup`)
    or has a handler of somebody else is left alone, and threads other than the first cannot have
    handlers.

    Yields:
        The signals received so far.
    """
    received: list[signal.Signals] = []

    def stop(number: int, _: FrameType | None) -> NoReturn:
        received.append(signal.Signals(number))
        raise KeyboardInterrupt(received[-1].name)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
