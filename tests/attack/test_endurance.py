"""A million requests with ever new words, 32 threads, and processes that are started afresh.

The artifact is one of a few kilobytes, or the one that EDGEPRESS_ARTIFACT names.
"""

import gc
import multiprocessing
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from one_answer import export_for_all

from runtimes import load

pytestmark = pytest.mark.attack

REQUESTS = 1_000_000


@pytest.fixture(scope="module")
def artifact(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("EDGEPRESS_ARTIFACT")
    return Path(named or export_for_all(task, tmp_path_factory.mktemp("long")) / "artifact")


def request(rng: random.Random) -> str:
    """A text of 1 to 40 words, one in five of which nobody has seen before."""
    known = ("a", "film", "good", "bad", "very", "plot", ".", ",")
    return " ".join(
        f"{rng.getrandbits(60):x}" if rng.random() < 0.2 else rng.choice(known)
        for _ in range(int(rng.paretovariate(0.9)) % 40 + 1)
    )


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_memory_is_flat_over_a_million_requests(artifact: Path, runtime: str) -> None:
    rng = random.Random(0)
    with load(artifact, runtime=runtime, threads=1) as classify:
        sizes = []
        for done in range(10):
            for _ in range(REQUESTS // 10):
                classify(request(rng))
            sizes.append(resident())
            print(f"{runtime}: {(done + 1) * 10}%: {sizes[-1] / 1e6:.1f} MB")
        assert max(sizes[1:]) <= 1.05 * sizes[0]


def test_thirty_two_threads_get_what_one_gets(artifact: Path) -> None:
    rng = random.Random(1)
    texts = [request(rng) for _ in range(1000)]
    for runtime in ("onnxruntime", "openvino"):
        with load(artifact, runtime=runtime, threads=1) as classify:
            expected = [classify(text) for text in texts]
            together = threading.Barrier(32)

            def worker(
                _: int, classify: Any = classify, together: threading.Barrier = together
            ) -> list[Any]:
                together.wait()
                return [classify(text) for text in texts]

            with ThreadPoolExecutor(32) as threads:
                for found in threads.map(worker, range(32)):
                    assert found == expected


def _answers(folder: Path, texts: list[str]) -> list[Any]:
    with load(folder, threads=1) as classify:
        return [classify(text) for text in texts]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_get_what_one_gets(artifact: Path, method: str) -> None:
    rng = random.Random(2)
    texts = [request(rng) for _ in range(200)]
    expected = _answers(artifact, texts)
    with multiprocessing.get_context(method).Pool(4) as pool:
        for found in pool.starmap(_answers, [(artifact, texts)] * 8):
            assert found == expected
