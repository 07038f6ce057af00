"""What others do with the cores is seen and waited out, or said: on a machine that is made up."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.disturbance import (
    PATIENCE,
    Disturbance,
    NotQuietError,
    Watch,
    patience_seconds,
)
from benchmarks.latency import LatencySettings, doubt, measure_latency, speedup
from runtimes.errors import UsageError

pytestmark = pytest.mark.skipif(not hasattr(os, "sysconf"), reason="counters of Linux")

Load = Callable[[float], float]
"""Cores that others want, at a time."""


class Machine:
    """A machine of two cores whose time passes when something happens on it."""

    def __init__(self, others: Load = lambda now: 0.0, stolen: float = 0.0) -> None:
        self.others, self.stolen, self.now = others, stolen, 0.0
        self.cores = 2
        self.used = dict.fromkeys(("own", "others", "stolen", "idle"), 0.0)

    def run(self, seconds: float, own: float = 0.0) -> None:
        """Let time pass, with `own` cores at work for process 7."""
        steps = max(1, round(seconds / 0.01))
        for _ in range(steps):
            step = seconds / steps
            others = min(self.others(self.now), self.cores - self.stolen)
            mine = min(own, self.cores - others - self.stolen)
            share = {"own": mine, "others": others, "stolen": self.stolen}
            share["idle"] = self.cores - sum(share.values())
            for name, cores in share.items():
                self.used[name] += cores * step
            self.now += step

    def watch(self, **settings: object) -> Watch:
        options = {"threads": 2, "patience_s": 60.0, "read": self.read, **settings}
        watch = Watch(cores=range(self.cores), clock=lambda: self.now, sleep=self.run, **options)  # type: ignore[arg-type]
        watch.pids = [7, 8]  # the second is gone
        return watch

    def read(self, name: str) -> str:
        def ticks(name: str) -> int:
            return int(self.used[name] * os.sysconf("SC_CLK_TCK"))

        user = ticks("own") + ticks("others")
        first = f"cpu0 {user} 0 0 {ticks('idle')} 0 0 0 {ticks('stolen')} 0 0"
        lines = ["cpu  9 9 9 9 9 9 9 9 9 9", first, "cpu1 0 0 0 0 1 0 0 0 0 0", "intr 5"]
        files = {
            "stat": "\n".join(lines),
            "7/stat": f"7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 {ticks('own')} 0 0 0 20 0 3 0",
        }
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]


def refuse(name: str) -> str:
    raise FileNotFoundError(name)


def steady(cores: float) -> Load:
    return lambda now: cores


def bursts(period_s: float) -> Load:
    """One core, half of the time."""
    return lambda now: float(now % period_s < period_s / 2)


def test_work_that_has_the_cores_to_itself_is_done_once() -> None:
    machine = Machine(steady(0.1))
    watch = machine.watch()
    for own in (2.0, 0.3, 0.0):
        watch.begin()
        machine.run(1.0, own)
        assert not watch.again()
        assert not watch.disturbed
    seen = watch.disturbance()
    assert (seen.watched, seen.measured, seen.disturbed, seen.waited_s) == (True, 3, 0, 0.0)


@pytest.mark.parametrize("load", [steady(1.0), steady(0.5), bursts(0.1)])
def test_work_beside_others_is_done_again_once_they_end(load: Load) -> None:
    machine = Machine(lambda now: load(now) if now < 10 else 0.0)
    waited: list[tuple[float, float]] = []
    watch = machine.watch(on_wait=lambda *seconds: waited.append(seconds))
    times: list[float] = []
    watch.require_quiet(lambda: machine.run(1.0, own=1.0) or times.append(machine.now))
    assert len(times) == 2
    assert 10 <= machine.now < 13
    assert not watch.disturbed
    assert waited[-1] == (pytest.approx(machine.now - 1, abs=2), 60.0)
    seen = watch.disturbance()
    assert (seen.measured, seen.disturbed, seen.kept) == (2, 1, 0)
    assert seen.others == pytest.approx(load(0.0) / 2 if load(0.06) else 0.25, abs=0.05)


def test_patience_ends_and_the_result_says_who_disturbed_it() -> None:
    machine = Machine(steady(1.0))
    watch = machine.watch()
    watch.repeat(lambda: machine.run(2.0, own=1.0))
    assert watch.disturbed
    assert 60 <= machine.now < 66
    seen = watch.disturbance()
    assert (seen.measured, seen.disturbed, seen.kept) == (2, 2, 1)
    assert seen.describe() == "other processes used 50% of the cores"
    with pytest.raises(NotQuietError):  # at once: nothing is waited for any more
        watch.require_quiet(lambda: machine.run(2.0))
    assert machine.now < 68
    assert watch.disturbance().kept == seen.kept
    assert Disturbance.from_json(asdict(seen)) == seen


def test_processes_that_end_meanwhile_are_no_others() -> None:
    machine, ended = Machine(), 0.0

    def read(name: str) -> str:
        if name == "stat":
            return machine.read(name)
        if name == "8/stat" and not ended:  # its child, at work since long before
            return f"8 (c) S 1 1 1 0 -1 0 0 0 0 0 {machine.read('7/stat').split()[14]} 0 0 0 20"
        if name == "7/stat":
            spent = machine.read("7/stat").split()[14] if ended else 0
            return f"7 (p) S 1 1 1 0 -1 0 0 0 0 0 0 0 {spent} 0 20 0 3 0"
        raise FileNotFoundError(name)

    watch = machine.watch(read=read, patience_s=0.0)
    machine.run(5.0, own=1.0)
    watch.begin()
    machine.run(1.0, own=1.0)
    ended = machine.now
    assert not watch.again()
    assert not watch.disturbed
    watch.begin()
    machine.others = steady(1.0)
    machine.run(1.0)
    watch.again()
    assert watch.disturbed  # what ended before does not count again


def test_time_that_other_virtual_machines_get_counts() -> None:
    machine = Machine(stolen=0.8)
    watch = machine.watch(patience_s=0.0)
    watch.begin()
    machine.run(1.0, own=1.2)
    assert not watch.again()
    assert watch.disturbed
    assert watch.disturbance().describe() == (
        "40% of the cores' time went to other virtual machines"
    )
    machine.others = steady(0.4)
    for _ in range(20):
        watch.begin()
        machine.run(1.0, own=0.8)
        watch.again()
    assert watch.disturbance().describe() == (
        "other processes used 19% of the cores, and 40% of the cores' time went to other virtual "
        "machines"
    )


def test_others_may_use_cores_that_no_model_needs() -> None:
    machine = Machine(steady(1.0))
    for threads, disturbed in ((1, False), (2, True)):
        watch = machine.watch(threads=threads, patience_s=0.0)
        watch.begin()
        machine.run(1.0, own=1.0)
        watch.again()
        assert watch.disturbed == disturbed


@pytest.mark.parametrize("content", [None, "", "cpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n"])
def test_where_nothing_is_told_nothing_is_claimed(content: str | None) -> None:
    machine = Machine(steady(2.0))
    watch = machine.watch(read=lambda name: refuse(name) if content is None else content)
    watch.begin()
    machine.run(1.0)
    assert not watch.again()
    assert not watch.disturbance().watched


def test_this_machine_can_be_watched_or_not_but_nothing_breaks() -> None:
    watch = Watch(read=lambda name: (Path("/proc") / name).read_text(), patience_s=0.0)
    watch.begin()
    assert not watch.again()
    assert watch.disturbance().measured == 1


def test_patience_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATIENCE, raising=False)
    assert patience_seconds() == 60
    monkeypatch.setenv(PATIENCE, "2.5")
    assert patience_seconds() == 2.5
    for wrong in ("-1", "long", "inf", "nan"):
        monkeypatch.setenv(PATIENCE, wrong)
        with pytest.raises(UsageError, match=PATIENCE):
            patience_seconds()


@pytest.mark.parametrize("forged", [None, [], "x", {"watched": True, "other": 1}, {"others": "x"}])
def test_a_forged_report_tells_of_no_disturbance(forged: object) -> None:
    assert Disturbance.from_json(forged) == Disturbance()


class Model:
    """Takes `ms` alone on the machine, and `beside` times that while others are at work."""

    def __init__(self, name: str, machine: Machine, ms: float, beside: float) -> None:
        self.id, self.machine, self.ms, self.beside = name, machine, ms, beside

    def time(self, indices, *, discard):
        timed = []
        for _ in range(2 * len(indices)):
            busy = self.machine.others(self.machine.now) > 0
            ms = self.ms * (self.beside if busy else 1.0)
            self.machine.run(ms / 1000, own=2.0)
            timed.append(ms)
        end_to_end, model = np.split(np.asarray(timed), 2)
        return end_to_end[discard:], model[discard:]


@pytest.mark.parametrize(
    ("load", "named"),
    [
        (steady(1.0), False),
        (bursts(0.02), False),
        (bursts(0.5), False),
        (bursts(3.0), None),
        (bursts(11.0), False),
        (bursts(20.0), None),
        (bursts(40.0), True),
        (lambda now: float(now > 8), None),
        (lambda now: float(now < 8), True),
    ],
)
def test_a_ratio_is_that_of_the_quiet_machine_or_is_not_named(
    load: Load, named: bool | None
) -> None:
    """The reference loses ten times as much as the model to what runs beside it."""
    machine = Machine(load)
    models = [Model("reference", machine, 20.0, beside=13.0), Model("model", machine, 2.0, 1.3)]
    watch = machine.watch()
    samples = measure_latency(
        models,
        np.zeros((20, 10), dtype=np.int64),
        [0],
        LatencySettings(pause_s=0.0),
        watch=watch,
        on_failure=lambda *_: None,
        failures=(),
    )
    reference, model = samples["reference"], samples["model"]
    ratio = speedup(reference, model)
    assert ratio is not None
    why = doubt(reference, model, ratio, watch.disturbance())
    assert why or ratio.value == pytest.approx(10, rel=0.15)
    assert named is None or named == (not why)
    assert not why or "other processes used" in why
    assert watch.spent_s < 70  # patience has an end


def test_a_machine_that_cannot_be_watched_is_judged_by_its_rounds() -> None:
    machine = Machine()
    models = [Model("reference", machine, 20.0, beside=13.0), Model("model", machine, 2.0, 1.3)]

    def measured(load: Load, patience_s: float = 60.0) -> str:
        machine.others, machine.now = load, 0.0
        watch = machine.watch(read=refuse, patience_s=patience_s)
        samples = measure_latency(
            models,
            np.zeros((20, 10), dtype=np.int64),
            [],
            LatencySettings(pause_s=0.0),
            watch=watch,
            on_failure=lambda *_: None,
            failures=(),
        )
        ratio = speedup(samples["reference"], samples["model"])
        assert ratio is not None
        why = doubt(samples["reference"], samples["model"], ratio, watch.disturbance())
        assert why or ratio.value == pytest.approx(10, rel=0.15)
        return why

    assert measured(steady(0.0)) == ""
    assert measured(lambda now: float(9 < now < 12)) == ""  # those rounds were timed again
    for period in (0.5, 1.0, 3.0, 30.0):
        measured(bursts(period))
    assert "times apart" in measured(lambda now: float(now % 30 > 2.4), 0.0)
