"""Connections of which no header can be endless, and none stays open where nothing comes.

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
