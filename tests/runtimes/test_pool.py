"""Several sessions answer like one, in the same order, and at the same time."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtimes import load
from runtimes.errors import UsageError
from runtimes.pool import SessionPool

TEXTS = [
    " ".join(["gorgeous", "dull", "film", "not"][: 1 + i % 4] * (1 + i % 3)) for i in range(50)
]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_the_answers_and_their_order_are_those_of_one(artifact: Path, batch_size: int) -> None:
    with load(artifact, threads=1) as one, load(artifact, sessions=3, threads=1) as several:
        assert isinstance(several.session, SessionPool)
        expected = one.logits(TEXTS, batch_size=batch_size)
        np.testing.assert_array_equal(several.logits(TEXTS, batch_size=batch_size), expected)
        assert several(TEXTS[:3]) == one(TEXTS[:3])
        assert several(TEXTS[0]) == one(TEXTS[0])
        assert several.logits([]).shape == (0, 3)


class Waiting:
    """A session that answers only once `size` of them are asked at the same time."""

    runtime, device, precision, input_names = "none", "cpu", "fp32", ("input_ids",)

    def __init__(self, together: threading.Barrier) -> None:
        self.together = together
        self.closed = False

    def run(self, inputs: Any) -> Any:
        self.together.wait(timeout=30)
        return {"logits": inputs["input_ids"]}

    def close(self) -> None:
        self.closed = True


def test_sessions_run_at_the_same_time_and_are_all_closed() -> None:
    together = threading.Barrier(3)
    sessions = [Waiting(together) for _ in range(3)]
    pool = SessionPool(sessions)
    asked = [threading.Thread(target=pool.run, args=({"input_ids": i},)) for i in range(3)]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join(timeout=30)
    assert not together.broken
    pool.close()
    assert all(session.closed for session in sessions)


def test_a_session_that_fails_is_lent_again() -> None:
    together = threading.Barrier(1)
    pool = SessionPool([Waiting(together)])
    with pytest.raises(KeyError):
        pool.run({})
    assert pool.run({"input_ids": 7}) == {"logits": 7}


def test_there_is_at_least_one(artifact: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        load(artifact, sessions=0)
