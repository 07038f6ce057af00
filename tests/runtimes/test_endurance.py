"""Long use: 100,000 requests, many threads, and a first call that is like the others."""

import gc
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from runtimes import load
from runtimes.registry import get_runtime

REQUESTS, BEFORE = 100_000, 10_000
WORDS = ("a", "film", "gorgeous", "dull", "witty", "not", ",", ".", "unheard", "of")


def texts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 20))) for _ in range(count)]


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


@pytest.fixture(params=["onnxruntime", "openvino"])
def everywhere(request: pytest.FixtureRequest, both_runtimes: Path) -> tuple[Path, str]:
    """An artifact of both runtimes, and the name of one."""
    return both_runtimes, request.param


@pytest.mark.slow
def test_memory_stays_flat_over_a_hundred_thousand_requests(everywhere: tuple[Path, str]) -> None:
    folder, runtime = everywhere
    pool = texts(1000)
    with load(folder, runtime=runtime, threads=1) as classify:
        for number in range(BEFORE):
            classify(pool[number % len(pool)])
        start = resident()
        for number in range(BEFORE, REQUESTS):
            classify(pool[number % len(pool)])
        assert resident() == pytest.approx(start, rel=0.05)


def test_eight_threads_get_what_one_gets(everywhere: tuple[Path, str]) -> None:
    folder, runtime = everywhere
    pool = texts(200)
    with load(folder, runtime=runtime, threads=1) as classify, ThreadPoolExecutor(8) as threads:
        expected = [classify(text) for text in pool]
        together = threading.Barrier(8)

        def worker(_: int) -> list[Any]:
            together.wait()  # all at once, each through all texts
            return [classify(text) for text in pool]

        for found in threads.map(worker, range(8)):
            assert found == expected
        batches = classify.logits(pool, batch_size=16)
        one_by_one = classify.logits(pool, batch_size=1)
    np.testing.assert_allclose(batches, one_by_one, atol=1e-5)  # neither order nor padding counts


def test_a_loaded_model_has_run_already(
    everywhere: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, runtime = everywhere
    module = get_runtime(runtime)
    real, runs = module.open_model, []

    def counting(*arguments: Any, **options: Any) -> Any:
        session = real(*arguments, **options)
        run = session.run

        def counted(inputs: Any) -> Any:
            runs.append(inputs)
            return run(inputs)

        monkeypatch.setattr(session, "run", counted)
        return session

    monkeypatch.setattr(module, "open_model", counting)
    with load(folder, runtime=runtime):
        assert len(runs) == 1
