"""Signals that ask a command to stop: all end it as Ctrl-C does."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["describe_stop", "ending_at_once", "stopping_signals", "unmasking_stops"]

# Ctrl-C; of docker stop, systemd and CI; of a terminal that was closed (Windows has none).
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_UNHANDLED = (signal.SIG_DFL, signal.default_int_handler)
_WAIT = 0.02  # seconds until a signal that came during an import is looked at again

_Handler = Callable[[int, FrameType | None], object]


def describe_stop(number: int) -> str:
    """Return what a command says of the signal that stopped it."""
    return "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at any of these signals within this block, in which it has nothing to lose.

    An exception would be swallowed, or printed, by some of what is imported meanwhile.
    """

    def end(number: int, _: FrameType | None) -> None:
        with suppress(OSError):
            os.write(2, f"\n{describe_stop(number)}\n".encode())
        os._exit(128 + number)

    with _handled_by(end):
        yield


@contextmanager
def stopping_signals() -> Iterator[list[signal.Signals]]:
    """Raise KeyboardInterrupt at any of these signals within this block.

    So temporary files are removed and the log says why it ends. An import is finished first: the
    exception would be swallowed there, become another one, or abort the process where C++ is being
    started. Where Python ignores an exception, as in `__del__`, it is raised again a moment later.

    Yields:
        The signals received so far.
    """
    received: list[signal.Signals] = []
    alarm = getattr(signal, "SIGALRM", None)  # Windows has none
    before = alarm and signal.getsignal(alarm)
    waits = False

    def later() -> bool:
        nonlocal waits
        if alarm is None or threading.current_thread() is not threading.main_thread():
            return False
        waits = True
        signal.signal(alarm, stop)
        signal.setitimer(signal.ITIMER_REAL, _WAIT)
        return True

    def stop(number: int, frame: FrameType | None) -> None:
        if number != alarm:
            received.append(signal.Signals(number))
        if _is_importing(frame) and later():
            return
        last = received[-1]
        raise KeyboardInterrupt(*([] if last == signal.SIGINT else [last.name]))

    print_ignored = sys.unraisablehook

    def ignored(unraisable: "sys.UnraisableHookArgs") -> None:
        ours = received and isinstance(unraisable.exc_value, KeyboardInterrupt)
        if not (ours and later()):
            print_ignored(unraisable)

    with _handled_by(stop):
        sys.unraisablehook = ignored
        try:
            yield received
        finally:
            sys.unraisablehook = print_ignored
            if waits and alarm is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(alarm, before)


@contextmanager
def unmasking_stops() -> Iterator[None]:
    """Raise KeyboardInterrupt where a library made an error of its own of one."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise KeyboardInterrupt(*cause.args) from error
        raise


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    """Let `handler` have these signals within this block.

    One that is ignored (`nohup`) or has a handler of somebody else is left alone, and threads other
    than the first cannot have handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    ours = [number for number in numbers if before[number] in _UNHANDLED]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
