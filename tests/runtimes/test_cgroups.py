"""Limits of control groups, in the two layouts that systems have, and what they are asked for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes import cgroups, cores


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without limits; tests write its files."""
    monkeypatch.setattr(cgroups, "_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(cgroups, "_MEMBERSHIP", tmp_path / "membership")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_a_machine_without_groups_has_no_limit(system: Path) -> None:
    assert (cgroups.cpu_quota(), cgroups.memory_limit_bytes()) == (None, None)
    write(system / "membership", "0::/")
    assert (cgroups.cpu_quota(), cgroups.memory_limit_bytes()) == (None, None)


def test_version_2_and_the_groups_around(system: Path) -> None:
    write(system / "membership", "0::/services/web")
    services = system / "cgroup" / "services"
    write(services / "cpu.max", "150000 100000")
    write(services / "memory.max", "2000000000")
    write(services / "web" / "cpu.max", "max 100000")
    write(services / "web" / "memory.max", "max")
    assert (cgroups.cpu_quota(), cgroups.memory_limit_bytes()) == (1.5, 2_000_000_000)


def test_version_1(system: Path) -> None:
    write(system / "membership", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/")
    group = system / "cgroup" / "cpu" / "docker" / "abc"
    write(group / "cpu.cfs_quota_us", "50000")
    write(group / "cpu.cfs_period_us", "100000")
    write(system / "cgroup" / "cpu" / "cpu.cfs_quota_us", "-1")
    write(system / "cgroup" / "cpu" / "cpu.cfs_period_us", "100000")
    memory = system / "cgroup" / "memory"
    write(memory / "memory.limit_in_bytes", str((1 << 63) - 4096))
    assert cgroups.memory_limit_bytes() is None
    write(memory / "docker" / "abc" / "memory.limit_in_bytes", "300000000")
    assert (cgroups.cpu_quota(), cgroups.memory_limit_bytes()) == (0.5, 300_000_000)


def test_a_container_sees_its_own_group_as_the_top(system: Path) -> None:
    write(system / "membership", "2:cpu:/docker/abc\n1:memory:/docker/abc")
    write(system / "cgroup" / "cpu" / "cpu.cfs_quota_us", "200000")
    write(system / "cgroup" / "cpu" / "cpu.cfs_period_us", "100000")
    write(system / "cgroup" / "memory" / "memory.limit_in_bytes", "1000000")
    assert (cgroups.cpu_quota(), cgroups.memory_limit_bytes()) == (2.0, 1_000_000)


def test_a_quota_bounds_the_cores(system: Path) -> None:
    before = cores.usable_cores()
    write(system / "membership", "1:cpu:/")
    write(system / "cgroup" / "cpu" / "cpu.cfs_period_us", "100000")
    for quota, expected in (("50000", 1), ("100000", 1), ("-1", before), ("99900000", before)):
        write(system / "cgroup" / "cpu" / "cpu.cfs_quota_us", quota)
        assert cores.usable_cores() == expected


@pytest.mark.parametrize(
    ("given", "siblings", "quota", "expected"),
    [
        ({0, 1, 2, 3}, "{}", -1, None),  # the whole machine: the library knows best
        ({0, 1, 2, 3}, "{}", 400_000, None),
        ({0, 1, 2, 3}, "{}", 50_000, 1),
        ({0, 1, 2, 3}, "{}", 250_000, 2),  # a third thread would wait half of the time
        ({2}, "{}", -1, 1),
        ({0, 1, 2}, "{}", -1, 3),
        ({0, 1, 2}, "{}", 150_000, 1),
        ({0, 1}, "0-1", -1, 1),  # two halves of one core
    ],
)
def test_a_part_of_a_machine_is_asked_for_no_more_threads_than_it_can_run(
    system: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: set[int],
    siblings: str,
    quota: int,
    expected: int | None,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: given, raising=False)
    monkeypatch.setattr(cores, "_SIBLINGS", str(system / "{}"))
    for core in given:
        write(system / str(core), siblings.format(core))
    write(system / "membership", "1:cpu:/")
    write(system / "cgroup" / "cpu" / "cpu.cfs_period_us", "100000")
    write(system / "cgroup" / "cpu" / "cpu.cfs_quota_us", str(quota))
    assert cores.limited_cores() == expected


# Prints how many threads there are once an artifact has answered.
COUNTING = """
import os, sys
if sys.argv[3] != "-":
    open(sys.argv[3], "w").write(str(os.getpid()))
else:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from runtimes import load
threads = int(sys.argv[4]) or None
with load(sys.argv[1], runtime=sys.argv[2], threads=threads) as classify:
    classify(["good", "good film"])
    print(len(os.listdir("/proc/self/task")))
"""


@pytest.fixture
def half_a_core() -> Iterator[str]:
    """The list of processes of a real group that may use half of a core; version 1 or 2."""
    top = Path("/sys/fs/cgroup")
    first = (top / "cpu" / "cpu.cfs_quota_us").exists()
    group = (top / "cpu" if first else top) / f"edgepress-{os.getpid()}"
    try:
        group.mkdir()
        if first:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text("50000")
        else:
            (group / "cpu.max").write_text("50000 100000")
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"groups of processes cannot be made here: {error}")
    yield str(group / "cgroup.procs")
    group.rmdir()


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("limit", ["one core of all", "half a core"])
def test_a_part_of_the_machine_gets_one_thread_and_no_complaints(
    both_runtimes: Path, runtime: str, limit: str, request: pytest.FixtureRequest
) -> None:
    procs = "-" if limit == "one core of all" else request.getfixturevalue("half_a_core")
    done = [
        subprocess.run(
            [sys.executable, "-c", COUNTING, str(both_runtimes), runtime, procs, threads],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        for threads in ("0", "1")
    ]
    assert done[0].stdout == done[1].stdout
    assert [each.stderr for each in done] == ["", ""]
    if runtime == "onnxruntime" and procs == "-":  # with two cores in sight numpy starts one more
        assert done[0].stdout == "1\n"
