"""Starts the server, and ends it: nothing that was accepted is lost."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn

from runtimes.errors import UsageError
from runtimes.pipeline import Predictor
from runtimes.serving.app import create_app
from runtimes.serving.connections import http_protocol
from runtimes.serving.demo import Demo
from runtimes.serving.logs import Log, take_over
from runtimes.serving.service import Service, describe
from runtimes.serving.settings import ServerSettings

__all__ = ["Server", "bind", "run"]

# Python's threads take turns of 5 ms where nobody waits for anything: an answer of the model, done
# in a tenth of that, would wait for the event loop's turn to end. Here they take shorter ones.
_TURN_S = 0.0005


def run(
    open_model: Callable[[], Predictor],
    settings: ServerSettings,
    *,
    page: Callable[[Predictor], str] | None = None,
    original: Predictor | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Answer until a signal ends it; see `runtimes.serving.serve`."""
    log = Log()
    take_over(log)
    _allow_connections()
    with bind(settings) as listener:
        service = Service(open_model(), open_model, settings, log)
        demo = None if page is None else Demo(page, original)
        before = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_S)
        try:
            Server(service, demo, listener, on_listening).run(sockets=[listener])
        finally:
            sys.setswitchinterval(before)
            if demo is not None:
                demo.close()


class Server(uvicorn.Server):
    """Uvicorn, which ends at SIGTERM in two steps, and opens the artifact anew at SIGHUP.

    First readiness is denied, and each answer closes its connection, so that clients go elsewhere.
    After `drain_s` seconds it stops to listen. Who is connected by then may still send a request,
    for as long again; then it closes connections on which nothing happens, finishes what it
    accepted, and ends. At Ctrl-C it does not wait for requests that are on their way.

    Args:
        service: The open model.
        demo: A page to try it on.
        listener: What it listens on.
        on_listening: Called with the address once requests are answered.
    """

    def __init__(
        self,
        service: Service,
        demo: Demo | None,
        listener: socket.socket,
        on_listening: Callable[[str], None] | None = None,
    ) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                create_app(service, demo),
                http=http_protocol(),
                # Not uvloop, by which some of many connections wait for seconds under overload.
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing asks who the client is
                ws="none",
                lifespan="on",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=round(settings.timeout_s) + 5,
            )
        )
        self._service = service
        self._listener = listener
        self._on_listening = on_listening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waits = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):  # Windows has none
            # Outside of the main thread there are none: `Service.reload` is what remains.
            with suppress(RuntimeError, ValueError):
                self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        settings, log = self._service.settings, self._service.log
        host, port = self._listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        log.write("listening", url=url, model=settings.name, **describe(self._service.predictor))
        if settings.token is None and not _is_loopback(host):
            log.write("everybody who reaches this address can ask", level="warning", url=url)
        if self._on_listening is not None:
            self._on_listening(url)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to end; a second signal ends it sooner."""
        service = self._service
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        elif sig == signal.SIGTERM and not service.draining and self._loop is not None:
            service.draining = self._waits = True
            seconds = service.settings.drain_s
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._stop)
        else:
            service.draining, self._waits = True, False
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was accepted, and end."""
        self._service.draining = True
        self._service.log.write("ending", requests=self._service.requests)
        for server in self.servers:
            server.close()
        end = time.monotonic() + (self._service.settings.drain_s if self._waits else 0.0)
        while self.server_state.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)
        self._service.log.write("ended")

    def _stop(self) -> None:
        self.should_exit = True

    def _reload(self) -> None:
        task = asyncio.ensure_future(self._service.reload())
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)


def bind(settings: ServerSettings) -> socket.socket:
    """Return a socket that has the address: before the model is opened, which may take long.

    Nobody can connect to it until the server is there to accept.

    Raises:
        UsageError: The address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # By name: of any other kind, asyncio lets small answers wait for the client's acknowledgement.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would share the address with whoever has it
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        return made
    except OSError as error:
        made.close()
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}",
            hint="--port 0 takes a free one",
        ) from error


def _allow_connections() -> None:
    """Raise the number of open files to what the process may have: a connection is one."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"
