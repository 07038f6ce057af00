"""Energy as the processor's packages count it, and silence where they do not."""

from pathlib import Path

import pytest

from benchmarks import energy
from benchmarks.energy import Meter
from benchmarks.latency import LatencySettings
from benchmarks.run import benchmark


def powercap(folder: Path, **packages: int) -> Path:
    """A tree as Linux has it: packages, a part of one, and another kind of zone."""
    for name, microjoules in {**packages, "core": 7, "psys": 9}.items():
        zone = folder / f"intel-rapl:{'1:0' if name == 'core' else name[-1]}"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "name").write_text(f"{name.replace('_', '-')}\n")
        (zone / "energy_uj").write_text(f"{microjoules}\n")
        (zone / "max_energy_range_uj").write_text("1000000\n")
    return folder


def test_it_adds_up_packages_and_goes_on_where_counters_begin_anew(tmp_path: Path) -> None:
    root = powercap(tmp_path, package_0=999_000, package_1=100)
    meter = Meter.find(root)
    assert meter is not None
    before = meter.read()
    assert before == (999_000, 100)
    powercap(tmp_path, package_0=4_999, package_1=1_100)
    assert meter.joules(before, meter.read()) == pytest.approx((6_000 + 1_000) / 1e6)


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    assert Meter.find(tmp_path) is None
    root = powercap(tmp_path, package_0=5)
    (root / "intel-rapl:0" / "energy_uj").unlink()  # as where only root may read it
    assert Meter.find(root) is None


def test_a_pass_is_the_mean_of_many(tmp_path: Path) -> None:
    root, passes = powercap(tmp_path, package_0=0), 0
    meter = Meter.find(root)
    assert meter is not None

    def work() -> None:
        nonlocal passes
        passes += 1
        (root / "intel-rapl:0" / "energy_uj").write_text(str(250 * passes))

    assert meter.joules_a_pass(work, seconds=0.02) == pytest.approx(250e-6)
    assert passes > 1
    passes = 0
    (root / "intel-rapl:0" / "energy_uj").write_text("0")
    assert meter.joules_a_pass(work, seconds=0.0) == pytest.approx(250e-6)
    assert passes == 1


def test_rows_have_it_where_the_machine_counts_it(artifact, examples, tmp_path, monkeypatch):
    class Counting(Meter):
        """A millijoule each time that it is asked."""

        def read(self):
            counts[0] += 1
            return (1000 * counts[0],)

    counts = [0]
    settings = LatencySettings(rounds=2, sentences=4, warmup=1, settle=1, throughput_inputs=8)
    monkeypatch.setattr(energy, "_POWERCAP", tmp_path / "none")
    given = {"reference": "full", "settings": settings}
    [row] = benchmark([artifact("full")], examples, **given).rows
    assert row.energy_mj is None
    meter = Counting(((tmp_path, 10**9),))
    monkeypatch.setattr("benchmarks.run.Meter.find", lambda: meter)
    [row] = benchmark([artifact("again")], examples, **given | {"reference": "again"}).rows
    assert row.energy_mj is not None
    assert 0 < row.energy_mj <= 1 / 40  # a millijoule for one or more passes of 40 inputs
