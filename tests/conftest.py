"""A task that a model of a few kilobytes learns in seconds, as files: checkpoint and data."""

import csv
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Tests never ask the network: what is not on this machine is an error, and a quick one.
os.environ["HF_HUB_OFFLINE"] = "1"
# Threads that wait give up their core: at full speed they would take it from all else that runs.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
# Measuring does not wait for the rest of the tests to end.
os.environ["EDGEPRESS_PATIENCE"] = "0"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Side by side, tests and what they start leave each other their cores: libraries take one
    # thread a core.
    os.environ["OMP_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        worker = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        share = sorted(os.sched_getaffinity(0))[
            worker :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        ]
        if share:
            os.sched_setaffinity(0, share)


# Markers of tests that run only where they are asked for.
ON_REQUEST = ("attack", "minutes")


def _refuse(name: str) -> str:
    raise FileNotFoundError(name)


@pytest.fixture(autouse=True, scope="session")
def _unwatched() -> Iterator[None]:
    """What a test measures does not depend on what runs beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.disturbance._read_proc", _refuse)
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put files with slow tests first: with the quick ones last, no process ends long before.

    What takes minutes runs only where it is asked for.
    """
    for name in ON_REQUEST:
        if name not in config.option.markexpr:
            skip = pytest.mark.skip(reason=f"takes minutes; run it with -m {name}")
            for item in items:
                if item.get_closest_marker(name):
                    item.add_marker(skip)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


GOOD = ("good", "great", "fine", "lovely")
BAD = ("bad", "awful", "poor", "dull")
FILLERS = ("a", "the", "film", "plot", "is", "was", "very", "and", "its", "cast")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = {word: i for i, word in enumerate((*SPECIAL, *GOOD, *BAD, *FILLERS, "##ly", ".", ","))}
LABELS = ("worse", "better")


def make_rows(count: int, seed: int) -> list[tuple[str, str]]:
    """(text, label): one opinion among fillers decides. No text occurs twice."""
    rng = np.random.default_rng(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        words = [str(word) for word in rng.choice(FILLERS, size=rng.integers(3, 10))]
        label = int(rng.integers(2))
        words.insert(int(rng.integers(len(words))), str(rng.choice((BAD, GOOD)[label])))
        rows[" ".join(words)] = LABELS[label]
    return list(rows.items())


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def save_bert(folder: Path, rows: list[tuple[str, str]] = (), **config: Any) -> Path:  # type: ignore[assignment]
    """A BERT of three layers as its users save it, trained on `rows` if there are any."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 40,
        "initializer_range": 0.1,
        "id2label": dict(enumerate(LABELS)),
        "label2id": {name: index for index, name in enumerate(LABELS)},
    }
    model = BertForSequenceClassification(BertConfig(**{**sizes, **config}))
    tokenizer = BertTokenizer(vocab=VOCABULARY, model_max_length=32)
    if rows:
        batch = tokenizer([text for text, _ in rows], padding=True, return_tensors="pt")
        labels = torch.tensor([LABELS.index(label) for _, label in rows])
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(60):
            chosen = torch.arange(step * 32, step * 32 + 32) % len(rows)
            inputs = {name: tensor[chosen] for name, tensor in batch.items()}
            model(**inputs, labels=labels[chosen]).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Task:
    """A trained checkpoint, and a folder with train, validation and test files."""

    model: Path
    data: Path

    labels = LABELS
    vocabulary = VOCABULARY
    make_rows = staticmethod(make_rows)
    write_csv = staticmethod(write_csv)
    save_bert = staticmethod(save_bert)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium: nothing is downloaded."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=chromium, args=options)
        yield started
        started.close()


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """The task; tests must not write into its folders."""
    folder = tmp_path_factory.mktemp("task")
    rows = make_rows(600, seed=1)
    splits = {"train": rows[:360], "validation": rows[360:480], "test": rows[480:]}
    for name, part in splits.items():
        write_csv(folder / "opinions" / f"{name}.csv", part)
    return Task(save_bert(folder / "opinion-bert", splits["train"]), folder / "opinions")


# Runs in every Python process that a watched command starts.
WATCHER = """
import os, pathlib, sys

def watch(event, arguments):
    looked_up = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
    # An address on this machine is a path.
    if looked_up or (event in ("socket.connect", "socket.sendto") and type(arguments[1]) is tuple):
        with open({log!r}, "a") as file:
            file.write(f"{{event}} {{arguments[-1]}}\\n")
    if event in ("tempfile.mkdtemp", "tempfile.mkstemp") and str(arguments[0]).startswith({temp!r}):
        with open({log!r} + ".temp", "a") as file:
            file.write(os.path.basename(arguments[0]) + "\\n")

sys.addaudithook(watch)

# What it measures does not depend on what runs beside it.
def read_text(path, *arguments, read=pathlib.Path.read_text, **options):
    if str(path) == "/proc/stat":
        raise FileNotFoundError(str(path))
    return read(path, *arguments, **options)

pathlib.Path.read_text = read_text
"""


@dataclass(frozen=True)
class Watched:
    """A command that ended.

    Attributes:
        code: Its exit code.
        output: What it wrote to stdout.
        errors: What it wrote to stderr.
        calls: Names that it, or a process that it started, looked up, and addresses that it
            connected to.
        home: Files that it left in a home folder that was empty, relative to it.
        temporary: Names of what it made in the system's folder for temporary files, which is
            swept by nobody if it is killed.
    """

    code: int
    output: str
    errors: str
    calls: list[str]
    home: list[str]
    temporary: list[str]


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Watched]:
    """`watched(*arguments)` runs Python with these, and watches what leaves its processes.

    `cwd` is the folder to run in.
    """

    def run(*arguments: str, cwd: Path | None = None) -> Watched:
        folder = tmp_path_factory.mktemp("watched")
        home, log, watcher, temp = (folder / n for n in ("home", "calls", "watcher", "temp"))
        for place in (home, watcher, temp):
            place.mkdir()
        (watcher / "sitecustomize.py").write_text(WATCHER.format(log=str(log), temp=str(temp)))
        # Nothing of this environment but where programs are, and what is waited for: not even that
        # the hub is off.
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("OMP_", "EDGEPRESS_P"))
        }
        kept["PATH"] = os.environ["PATH"]
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**kept, "HOME": str(home), "PYTHONPATH": str(watcher), "TMPDIR": str(temp)},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        made = log.with_name("calls.temp")
        return Watched(
            done.returncode,
            done.stdout,
            done.stderr,
            log.read_text().splitlines() if log.exists() else [],
            sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()),
            made.read_text().splitlines() if made.exists() else [],
        )

    return run


@pytest.fixture
def watch(watched: Callable[..., Watched]) -> Callable[..., Watched]:
    """`watched`, of a command that has to succeed."""

    def run(*arguments: str) -> Watched:
        done = watched(*arguments)
        assert done.code == 0, done.errors
        return done

    return run
