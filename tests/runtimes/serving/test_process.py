"""The command as it runs on a device: signals, the log, what it needs, and what it says without."""

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from served import Asker, in_process, until
from tiny_artifact import LABELS, write_tiny

from runtimes import load
from runtimes.serving.server import bind
from runtimes.serving.settings import ServerSettings

SECRET = "gorgeous witty zanzibar"
TEXTS = ["a film", "gorgeous , witty", "not dull .", "dull dull film"]
# What a device lacks; see tests/runtimes/test_isolation.py.
ABSENT = ("benchmarks", "compress", "export", "jinja2", "pydantic", "rich", "torch", "transformers",
          "typer", "openvino", "onnx", "huggingface_hub", "requests", "yaml")  # fmt: skip
REFUSE = """
import runpy, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
sys.argv = ["runtimes", *sys.argv[1:]]
runpy.run_module("runtimes", run_name="__main__")
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("served") / "tiny")


class Load:
    """Clients that ask one text after the other, on connections that they keep.

    Attributes:
        wrong: Answers that are none of the expected ones.
        lost: Requests that got no answer, on a connection that had given one.
        refused: Requests that got none on a new connection: the server had not accepted that.
        answered: How many were answered rightly.
    """

    def __init__(self, asker: Asker, expected: dict[str, list[Any]], clients: int = 6) -> None:
        self.wrong: list[Any] = []
        self.lost: list[str] = []
        self.refused: list[str] = []
        self.answered = 0
        self._asker, self._expected = asker, expected
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(i,)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _client(self, number: int) -> None:
        connection, place = self._asker.connect(), number
        while not self._stopped.is_set():
            text = TEXTS[place % len(TEXTS)]
            place += 1
            is_new = connection.sock is None
            try:
                connection.request("POST", "/predict", json.dumps({"inputs": text}))
                answer = connection.getresponse()
                found = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                (self.refused if is_new else self.lost).append(repr(error))
                return
            if answer.status == 200 and found in self._expected[text]:
                self.answered += 1
            else:
                self.wrong.append((answer.status, found))


def answers(folder: Path) -> dict[str, Any]:
    """What the hub's API says of each text."""
    with load(folder, threads=1) as predict:
        return {text: [predict(text, top_k=5)] for text in TEXTS}


def test_sigterm_under_load_loses_nothing(artifact: Path) -> None:
    expected = {text: [answer] for text, answer in answers(artifact).items()}
    with in_process(artifact, "--drain-s", "0.5") as asker:
        load_ = Load(asker, expected)
        until(lambda: load_.answered > 200 or load_.wrong)
        before = load_.answered
        asker.process.send_signal(signal.SIGTERM)
        assert asker.process.wait(30) == 0
        load_.stop()
        assert load_.lost == []
        assert load_.wrong == []
        assert load_.answered > before, "it went on to answer"
        assert asker.logged().count('"status": 200') == load_.answered, "accepted and answered"
        assert '"event": "ended"' in asker.logged()


def test_an_artifact_that_takes_its_place_is_opened_at_sighup(
    artifact: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    shutil.copytree(artifact, folder)
    old = answers(folder)
    other = write_tiny(tmp_path / "other", tuple(reversed(LABELS)))
    new = answers(other)
    both = {text: [old[text], new[text]] for text in TEXTS}
    with in_process(folder) as asker:
        load_ = Load(asker, both, clients=3)
        until(lambda: load_.answered > 50 or load_.wrong)
        write_tiny(folder, tuple(reversed(LABELS)))
        asker.process.send_signal(signal.SIGHUP)
        until(lambda: '"reloaded"' in asker.logged())
        assert asker.predict(TEXTS[1]) == new[TEXTS[1]]
        (folder / "onnx" / "model.onnx").write_bytes(b"damaged")
        asker.process.send_signal(signal.SIGHUP)
        until(lambda: '"reload failed"' in asker.logged())
        assert asker.predict(TEXTS[1]) == new[TEXTS[1]]
        load_.stop()
        assert load_.wrong == load_.lost == load_.refused == []


def test_the_log_is_json_without_texts(artifact: Path) -> None:
    with in_process(artifact) as asker:
        asker.predict(SECRET)
        asker.ask(f"/{SECRET.replace(' ', '-')}?q={SECRET.split(maxsplit=1)[0]}")
        asker.ask("/predict", {"inputs": {"txt": SECRET}})
        asker.ask("/predict", SECRET.encode())
        connection = asker.connect()
        connection.connect()
        connection.sock.sendall(f"{SECRET}\r\n\r\n".encode())
        connection.sock.recv(1000)
        connection.close()
        asker.process.send_signal(signal.SIGINT)
        assert asker.process.wait(30) == 0
        lines = [json.loads(line) for line in asker.logged().splitlines()]
        events = [line["event"] for line in lines]
        assert events[0] == "listening"
        assert events.count("request") == 4
        assert events[-1] == "ended"
        assert {"time", "level"} <= lines[0].keys()
        for word in SECRET.split():
            assert word not in asker.logged()


def test_it_runs_where_a_device_has_no_more_than_the_extra(artifact: Path) -> None:
    program = ("-c", REFUSE.format(absent=list(ABSENT)))
    with in_process(artifact, "--quiet", program=program) as asker:
        assert asker.predict(TEXTS[0]) == answers(artifact)[TEXTS[0]]
        assert asker.ask("/docs").status == 200
        assert "request" not in asker.logged()


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "prometheus_client"])
def test_what_is_missing_is_said_with_the_command_that_brings_it(artifact: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSE.format(absent=[name]), "serve", str(artifact)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3
    assert name in done.stderr
    assert "pip install starlette uvicorn prometheus-client" in done.stderr
    assert "Traceback" not in done.stderr


def test_mistakes_are_answered_in_a_sentence(artifact: Path, tmp_path: Path) -> None:
    def refused(*arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "runtimes", "serve", *arguments], capture_output=True,
            text=True, check=False, timeout=120, env={**os.environ, **variables},
        )  # fmt: skip
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "manifest.json" in refused(str(tmp_path), "--port", "0")
    with in_process(artifact) as asker:
        assert "--port 0" in refused(str(artifact), "--port", str(asker.port))
    assert "nobody" in refused(str(artifact), "--token-file", str(tmp_path / "nobody"))
    assert "empty" in refused(str(artifact), "--port", "0", EDGEPRESS_TOKEN="")


def test_the_command_of_the_full_tool_serves(artifact: Path) -> None:
    with in_process(artifact, program=("-m", "edgepress"), EDGEPRESS_TOKEN="abc") as asker:
        assert asker.ask("/predict", {"inputs": "a"}).status == 401
        answer = asker.ask("/predict", {"inputs": TEXTS[0]}, Authorization="Bearer abc")
        assert answer.json() == answers(artifact)[TEXTS[0]]
        asker.process.send_signal(signal.SIGTERM)
        assert asker.process.wait(30) == 0


def test_small_answers_wait_for_no_acknowledgement() -> None:
    """Of a socket that is not TCP by name, asyncio leaves the system's waiting of 40 ms on."""

    async def delay_is_off() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made = writer.get_extra_info("socket")
            accepted.set_result(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bind(ServerSettings(port=0)) as listener:
            async with await asyncio.start_server(look, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
                found = await accepted
                writer.close()
        return found

    assert asyncio.run(delay_is_off())


def test_an_answer_arrives_in_one_piece(artifact: Path) -> None:
    pytest.importorskip("httptools")
    body = json.dumps({"inputs": "a gorgeous film"}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        in_process(artifact) as asker,
        socket.create_connection(("127.0.0.1", asker.port)) as connection,
    ):
        for _ in range(30):
            connection.sendall(head + body)
            answer = connection.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2]), answer
