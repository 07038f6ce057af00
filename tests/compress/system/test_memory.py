"""Memory that has run out is named with its limits, whichever library meets them."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.errors import EdgepressError, ModelError
from compress.system.memory import (
    Limit,
    describe_exhausted_memory,
    memory_limits,
    naming_exhausted_memory,
)

LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
from compress.cli.app import main
raise SystemExit(main({arguments}))
"""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("std::bad_alloc"),
        RuntimeError("Check 'x' failed at core.cpp: bad allocation"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("[ONNXRuntimeError] : Failed to allocate memory for requested buffer of 9"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=lambda error: str(error)[:20] or type(error).__name__,
)
def test_what_libraries_say_is_named_with_the_limits(error: Exception) -> None:
    message = r"memory has run out: .*GB \(of this machine\)"
    with pytest.raises(EdgepressError, match=message), naming_exhausted_memory():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        SystemError("error return without exception set"),
        ImportError("cannot import name 'x' from 'torch'"),
        RuntimeError("can't start new thread"),
        OSError("libgomp.so.1: cannot open shared object file"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_addresses_are_limited_more_words_say_it(error: Exception) -> None:
    few = Limit(700_000_000, "ulimit -v", addresses=True)
    assert "memory has run out" in str(describe_exhausted_memory(error, [few]))
    assert describe_exhausted_memory(error, [Limit(10**9, "of this machine")]) is None


def test_what_an_error_was_made_of_counts() -> None:
    try:
        try:
            raise MemoryError
        except MemoryError as cause:
            raise KeyError("a library's own") from cause
    except KeyError as error:
        said = str(describe_exhausted_memory(error, memory_limits()))
    assert said.startswith("memory has run out: MemoryError; there are")


def test_real_allocations_are_named() -> None:
    for allocate in (lambda: np.ones(1 << 50), lambda: torch.ones(1 << 50)):
        with pytest.raises(EdgepressError, match="memory has run out"), naming_exhausted_memory():
            allocate()


def test_other_failures_pass() -> None:
    for error in (RuntimeError("no"), ModelError("out of memory, says its README"), OSError(2, "")):
        with pytest.raises(type(error)), naming_exhausted_memory():
            raise error


def test_the_smallest_bound_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtimes.cgroups.memory_limit_bytes", lambda: 10_000_000)
    machine, container = memory_limits()[:2]
    assert machine.size_bytes > container.size_bytes
    assert str(container) == "0.0 GB (limit of the container or service)"
    monkeypatch.setattr("runtimes.cgroups.memory_limit_bytes", lambda: 1 << 59)
    assert all("container" not in limit.source for limit in memory_limits())


@pytest.mark.attack  # which library meets the limit first, and how it says so, varies
@pytest.mark.skipif(sys.platform != "linux", reason="limits on addresses are Linux's")
def test_a_limit_on_addresses_gives_a_sentence(tmp_path: Path) -> None:
    """So few of them that importing PyTorch fails."""
    arguments = [str(tmp_path / "model"), "--data", str(tmp_path / "data.csv")]
    (tmp_path / "data.csv").write_text("text,label\n")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(limit=700_000_000, arguments=arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 1
    assert "error: memory has run out" in done.stderr
    assert "0.7 GB (limit on addresses, ulimit -v)" in done.stderr
