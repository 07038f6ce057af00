"""Toys of all tasks, each served once; and a model that answers when a test lets it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from served import Asker, in_thread

from runtimes.pipeline import Predictor
from runtimes.tasks import text_classification


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Predictor]:
    """`toy(kind)` is a predictor of a kind of `toy_tasks.ASKED`."""
    from toy_tasks import open_toy

    return cache(lambda kind: open_toy(kind, tmp_path_factory.mktemp(kind)))


@pytest.fixture(scope="module")
def served(toy: Callable[[str], Predictor]) -> Iterator[Callable[[str], Asker]]:
    """`served(kind)` asks a server of such a predictor; its model is called `toy`."""
    with ExitStack() as stack:
        yield cache(
            lambda kind: stack.enter_context(in_thread(Kept(toy(kind)), name="toy", queue=64))
        )


@pytest.fixture(scope="session")
def kept() -> "type[Kept]":
    """`kept(predictor)` stays open when its server ends."""
    return Kept


class Kept:
    """A predictor that stays open when its server ends."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def close(self) -> None:
        pass


class Gated:
    """A classifier whose answers name the text; it waits for `gate` before each.

    Attributes:
        gate: Set, it answers at once.
        calls: What it was asked, call by call.
        closed: Whether it was closed.
    """

    task = text_classification
    pairs = False
    runtime, precision, device, max_length = "toy", "fp32", "cpu", 8
    tokenizer = SimpleNamespace()

    def __init__(self, mark: str = "") -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.calls: list[list[str]] = []
        self.closed = False
        self.mark = mark

    def results(self, inputs: list[str], *, batch_size: int, **options: Any) -> list[Any]:
        self.calls.append(list(inputs))
        assert self.gate.wait(60)
        assert not self.closed
        if "fail" in inputs:
            raise RuntimeError("of a secret text")
        return [[{"label": f"{self.mark}{text}", "score": 1.0}] for text in inputs]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def gated() -> Gated:
    """A model that answers when a test lets it."""
    return Gated()
