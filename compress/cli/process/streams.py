"""The standard streams, whatever they are: closed, full, a pipe that nobody reads any more."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["open_streams", "read_lines"]

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


@contextmanager
def open_streams() -> Iterator[None]:
    """Let a command write in this block without looking at where to.

    A stream that is closed becomes one that is empty, or swallows all: otherwise the next file that
    is opened would take its place. A file or a pipe gets UTF-8, whatever the locale says; what a
    terminal's encoding does not have is written as an escape. What is left in stdout's buffer
    afterwards, and can no longer be written, is dropped.
    """
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest free number: the stream's own
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    try:
        yield
    finally:
        _drop_unwritable()


def _drop_unwritable() -> None:
    """Let the interpreter's own last flush find nothing that would fail."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def read_lines() -> Iterator[str]:
    """Go through the lines of stdin as they come: UTF-8, without their ends (LF or CRLF) and a byte
    order mark.

    Raises:
        UnicodeDecodeError: They are not UTF-8.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")  # whatever the locale says
    for number, line in enumerate(sys.stdin):
        whole = line.rstrip("\r\n")
        yield whole if number else whole.removeprefix("\ufeff")
