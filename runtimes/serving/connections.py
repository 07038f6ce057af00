"""Connections of which no header can be endless, and none stays open where nothing comes; an
answer leaves in one piece.

Uvicorn's own limits of headers are those of h11 alone, which is there where httptools is not.
"""

import asyncio
from typing import Any

__all__ = ["http_protocol"]

_MOST = 1 << 16  # bytes of a request's line and headers


def http_protocol() -> Any:
    """Return what uvicorn shall read requests by: httptools where it is installed, else h11."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class Bounded(HttpToolsProtocol):
        """Httptools, with h11's limit for headers."""

        _head, _in_head = 0, True

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.transport = _Joined(transport, self.loop)  # type: ignore[assignment]
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head and not self.transport.is_closing():
                self._head += len(data)
                if self._head > _MOST:
                    self.send_400_response("The headers are too large.")
                self._wait()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head = True

        def on_headers_complete(self) -> None:
            self._head, self._in_head = 0, False
            super().on_headers_complete()

        def _wait(self) -> None:
            """Close the connection where no request comes, as after an answer."""
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    return Bounded


class _Joined:
    """A transport that sends what one turn of the event loop writes in one piece.

    That is an answer's head and body. In two, they cost two calls of the system here, and the
    client begins to read what is not there yet.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
