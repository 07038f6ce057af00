"""Limits of control groups, in the two layouts that systems have."""

from pathlib import Path

import pytest

from runtimes import cgroups, fingerprint


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
    before = fingerprint.usable_cores()
    write(system / "membership", "1:cpu:/")
    write(system / "cgroup" / "cpu" / "cpu.cfs_period_us", "100000")
    for quota, cores in (("50000", 1), ("100000", 1), ("-1", before), ("99900000", before)):
        write(system / "cgroup" / "cpu" / "cpu.cfs_quota_us", quota)
        assert fingerprint.usable_cores() == cores
