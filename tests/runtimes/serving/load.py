"""A load test of `edgepress serve`, with wrk (`apt-get install wrk`), which holds every answer
against the right one.

    python tests/runtimes/serving/load.py ARTIFACT --seconds 600
    python tests/runtimes/serving/load.py ARTIFACT --original MODEL --seconds 60 --only ratio

It finds what the server can do, then loads it with 80% and with 300% of that, each for so many
seconds, and prints a line of JSON for each; with `--original` also the throughput beside that of
`transformers.pipeline` behind the same framework, in turns. The machine should do nothing else. The
exit code is 1 where an answer was wrong, anything but 429 was refused, or memory grew.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))

from served import Asker, in_process, until

from runtimes import load

HERE = Path(__file__).parent
TEXTS = (
    "a gorgeous , witty film",
    "the plot was dull and its cast awful",
    "it is a very fine film , and a lovely one",
    "bad",
    "a film that never quite forgets how cruel its silence is",
)
CONNECTIONS = 4  # they find out what the server can do, and load it with 80% of that
PEOPLE = 64  # connections with --random: requests come at random, and queues are longer
CROWD = 1024  # to be refused, more have to ask at once than may wait
_GROWTH = 1.05


@dataclass
class Memory:
    """Resident bytes of a process, looked at once a second."""

    process: psutil.Process
    seen: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.seen.clear()
        stopped = threading.Event()

        def look() -> None:
            while not stopped.wait(1.0):
                self.seen.append(self.process.memory_info().rss)

        thread = threading.Thread(target=look)
        thread.start()
        yield
        stopped.set()
        thread.join()

    @property
    def growth(self) -> float:
        """Median of the last fifth, as a multiple of that of the second fifth."""
        part = max(1, len(self.seen) // 5)
        early = self.seen[part : 2 * part] or self.seen
        return statistics.median(self.seen[-part:]) / statistics.median(early)


def write_requests(folder: Path, asker: Asker, name: str, texts: tuple[str, ...]) -> Path:
    """Write what wrk sends, and what one request after the other was answered."""
    lines = []
    for number, text in enumerate(texts * 4):
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
        path, body = f"/v2/models/{name}/infer", {"id": str(number), "inputs": [tensor]}
        answer = asker.ask(path, body)
        assert answer.status == 200, answer.body
        lines.append(f"{path}\t{json.dumps(body)}\t{answer.body.decode()}\n")
    target = folder / "requests.tsv"
    target.write_text("".join(lines))
    return target


def wrk(
    asker: Asker,
    requests: Path,
    seconds: float,
    connections: int = CONNECTIONS,
    pause_ms: float = 0,
    kind: str = "regular",
) -> dict[str, Any]:
    """Load the server; returns what the clients saw."""
    done = subprocess.run(
        [
            "wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "60s",
            "-s", str(HERE / "load.lua"), asker.url, "--", str(requests), f"{pause_ms:.3f}", kind,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    found = next(json.loads(line[6:]) for line in lines if line.startswith("FOUND "))
    first = [line[6:] for line in lines if line.startswith("FIRST ")]
    answered = found["right"] + found["wrong"]
    asked = answered + found["refused"] + found["broken"]
    return {
        **found,
        "answered_a_second": round(answered / found["seconds"], 1),
        "asked_a_second": round(asked / found["seconds"], 1),
        **({"first": first[0]} if first else {}),
    }


def pause_for(asker: Asker, requests: Path, rate: float, connections: int, kind: str) -> float:
    """Return the mean pause with which so many connections ask at a rate, in milliseconds."""
    pause = connections / rate * 1e3
    for _ in range(4):
        found = wrk(asker, requests, 3, connections, pause, kind)
        # What a connection's turn takes beside the pause:
        rest = connections / max(found["asked_a_second"], 1) * 1e3 - pause
        pause = max(0.0, connections / rate * 1e3 - rest)
    return pause


def model_p50_ms(artifact: Path, texts: tuple[str, ...]) -> float:
    """Return how long the model takes for a text, in a process of its own thread."""
    with load(artifact) as predict:
        taken = []
        for _ in range(200):
            for text in texts:
                begun = time.perf_counter()
                predict(text)
                taken.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(taken)


def loads(
    artifact: Path, seconds: float, texts: tuple[str, ...], *options: str, kind: str = "regular"
) -> bool:
    """Load the server with 80% and 300% of what it can do; returns whether it stood that."""
    good = True
    p50 = model_p50_ms(artifact, texts)
    with in_process(artifact, "--quiet", *options) as asker, tempfile.TemporaryDirectory() as made:
        assert asker.process is not None
        memory = Memory(psutil.Process(asker.process.pid))
        requests = write_requests(Path(made), asker, artifact.absolute().name, texts)
        wrk(asker, requests, min(5, seconds))  # warms up
        most = wrk(asker, requests, min(20, seconds))
        say("alone", model_p50_ms=round(p50, 4), **most)
        for share in (0.8, 3.0):
            connections = PEOPLE if kind == "random" else CONNECTIONS
            connections = connections if share < 1 else CROWD
            pause = pause_for(asker, requests, share * most["answered_a_second"], connections, kind)
            with memory.watched():
                found = wrk(asker, requests, seconds, connections, pause, kind)
            whole = found["wrong"] == found["broken"] == found["socket_errors"] == 0
            flat = memory.growth <= _GROWTH
            say(
                f"{share:.0%}",
                **found,
                offered=round(found["asked_a_second"] / most["answered_a_second"], 2),
                p99_by_model_p50=round(found["p99_ms"] / p50, 2),
                memory_growth=round(memory.growth, 4),
                memory_mb=round(memory.seen[-1] / 1e6, 1) if memory.seen else None,
                whole=whole,
                flat=flat,
            )
            good = good and whole and flat
    return good


def ratio(artifact: Path, original: str, seconds: float, texts: tuple[str, ...]) -> None:
    """Compare the throughput with that of a pipeline behind the same framework, in turns."""
    with contextlib.ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(in_process(artifact, "--quiet"))
        theirs = stack.enter_context(pipeline_server(original, made))
        requests = {}
        for name, asker in (("ours", ours), ("pipeline", theirs)):
            (made / name).mkdir()
            model = artifact.absolute().name
            requests[name] = write_requests(made / name, asker, model, texts)
        rates: dict[str, list[float]] = {"ours": [], "pipeline": []}
        for turn in range(6):  # the first warms up
            for name, asker in (("ours", ours), ("pipeline", theirs)):
                found = wrk(asker, requests[name], max(1, seconds / 10))
                assert found["wrong"] == found["broken"] == 0, found
                if turn:
                    rates[name].append(found["answered_a_second"])
        by_turn = [a / b for a, b in zip(rates["ours"], rates["pipeline"], strict=True)]
        say(
            "ratio",
            **{name: round(statistics.median(found), 1) for name, found in rates.items()},
            ratio=round(statistics.median(by_turn), 2),
            by_turn=[round(each, 2) for each in by_turn],
        )


@contextlib.contextmanager
def pipeline_server(original: str, folder: Path) -> Iterator[Asker]:
    """`transformers.pipeline` behind Starlette and uvicorn, in a process of its own."""
    told = folder / "port"
    process = subprocess.Popen(
        [sys.executable, str(HERE / "pipeline_server.py"), original, str(told)]
    )
    try:
        until(lambda: told.exists() or process.poll() is not None, 300)
        assert process.poll() is None
        yield Asker(int(told.read_text()), None, None, None)
    finally:
        process.kill()
        process.wait()


def say(what: str, **found: Any) -> None:
    """Print a line of JSON."""
    print(json.dumps({"load": what, **found}), flush=True)


def main() -> int:
    """Run what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--original", help="checkpoint for transformers.pipeline")
    parser.add_argument("--only", choices=("loads", "ratio"))
    parser.add_argument("--random", action="store_true", help="80%% comes from 64 people at random")
    parser.add_argument("--texts", type=Path, help="a text a line; by default five short ones")
    given = parser.parse_args()
    texts = tuple(given.texts.read_text().splitlines()[:200]) if given.texts else TEXTS
    kind = "random" if given.random else "regular"
    good = given.only == "ratio" or loads(given.artifact, given.seconds, texts, kind=kind)
    if given.original and given.only != "loads":
        ratio(given.artifact, given.original, given.seconds, texts)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
