"""A real server on this machine's own address, in a thread or in a process, and who asks it."""

import contextlib
import http.client
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.pipeline import Predictor
from runtimes.serving.demo import Demo
from runtimes.serving.logs import Log
from runtimes.serving.server import Server, bind
from runtimes.serving.service import Service
from runtimes.serving.settings import ServerSettings

__all__ = ["Answer", "Asker", "in_process", "in_thread", "until"]


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Asker:
    """A client of a server; each request has a connection of its own."""

    port: int
    log: io.StringIO | Path | None = None
    service: Service | None = None
    process: "subprocess.Popen[str] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path: str, body: Any = None, method: str = "", **headers: str) -> Answer:
        """Send a body: bytes as they are, all else as JSON; without one it is a GET."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connect()
        try:
            connection.request(
                method or ("GET" if body is None else "POST"),
                path,
                sent,
                {name.replace("_", "-"): value for name, value in headers.items()},
            )
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()

    def predict(self, inputs: Any, **parameters: Any) -> Any:
        answer = self.ask("/predict", {"inputs": inputs, "parameters": parameters})
        assert answer.status == 200, answer.body
        return answer.json()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.ask("/metrics").body.decode().splitlines()
        found = [line for line in lines if line.partition(" ")[0].partition("{")[0] == name]
        assert found, name
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def logged(self) -> str:
        return self.log.read_text() if isinstance(self.log, Path) else self.log.getvalue()


@contextlib.contextmanager
def in_thread(predictor: Any, demo: Demo | None = None, **settings: Any) -> Iterator[Asker]:
    """Serve an open predictor; what it opens at a reload is the same one."""
    given = ServerSettings(**{"port": 0, "drain_s": 0.0, **settings})
    log = io.StringIO()

    def reopen() -> Predictor:
        return predictor

    with bind(given) as listener:
        service = Service(predictor, reopen, given, Log(log))
        server = Server(service, demo, listener)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive())
            yield Asker(listener.getsockname()[1], log, service)
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()


@contextlib.contextmanager
def in_process(
    folder: Path, *arguments: str, program: tuple[str, ...] = ("-m", "runtimes"), **variables: str
) -> Iterator[Asker]:
    """Serve an artifact by the command, on a free port; its log is beside the artifact."""
    log = folder.with_name(f"{folder.name}.{time.monotonic_ns()}.log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *program, "serve", str(folder), "--port", "0", *arguments],
            stderr=errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        )
    try:
        until(lambda: '"listening"' in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        line = next(each for each in log.read_text().splitlines() if '"listening"' in each)
        port = int(json.loads(line)["url"].rpartition(":")[2])
        yield Asker(port, log, None, process)
    finally:
        process.kill()
        process.wait()


def until(happened: Any, seconds: float = 60.0) -> None:
    """Wait for something; a test that waits for nothing fails."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
