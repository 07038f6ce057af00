"""Measuring a latency table: with a fake stopwatch, and once in earnest."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.disturbance import Taken, Watch
from benchmarks.profiling.timing import ProbeTimes
from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.latency import measurement as latency_measurement
from compress.latency.measurement import (
    cached_latency_table,
    default_cache_folder,
    measured_table,
)
from compress.latency.probe import Conditions, measure_shapes
from compress.latency.table import LatencyTable
from compress.system.progress import SilentProgress
from export.quantization import QuantizationPlan

LENGTHS = [5, 7, 7, 9, 12, 16]
CONDITIONS = Conditions(LENGTHS, plan=None, threads=1)
SILENT = SilentProgress()


def config(layers: int = 3, heads: int = 4, neurons: int = 128, **changes: Any) -> Any:
    sizes = {"heads": heads, "head_size": 8, "intermediate_size": neurons}
    small = {"vocab_size": 50, "embedding_size": 16, "hidden_size": 16}
    positions = {"max_position_embeddings": 32}
    return LeanEncoderConfig(layers=[sizes] * layers, **{**small, **positions, **changes})


def cost(shape: Sequence[LayerSizes]) -> float:
    """A machine on which a last layer costs a quarter."""
    total = 0.1
    for position, layer in enumerate(shape):
        share = 0.25 if position == len(shape) - 1 else 1.0
        attention = 0.05 + 0.02 * layer.heads if layer.heads else 0.0
        feed_forward = 0.03 + 0.0002 * layer.intermediate_size if layer.intermediate_size else 0.0
        total += share * (0.01 + attention + feed_forward)
    return total


class Stopwatch:
    """Knows what models cost without running them, and counts how often it is asked."""

    def __init__(self, doubt: str = "") -> None:
        self.doubt = doubt
        self.calls: list[Sequence[Sequence[LayerSizes]]] = []

    def __call__(self, _: Any, shapes: Any, *conditions: Any) -> ProbeTimes:
        self.calls.append(shapes)
        return ProbeTimes(np.asarray([cost(shape) for shape in shapes]), self.doubt, watched=True)


@pytest.mark.parametrize("layers", [1, 2, 3, 6, 12])
def test_the_table_predicts_models_that_were_not_measured(layers: int) -> None:
    stopwatch, model = Stopwatch(), config(layers)
    table = measured_table(model, CONDITIONS, SILENT, measure=stopwatch)
    rng = np.random.default_rng(1)
    for _ in range(20):
        depth = rng.integers(1, layers + 1)
        sizes = [
            LayerSizes(int(rng.integers(1, 5)), 8, 32 * int(rng.integers(1, 5)))
            for _ in range(depth)
        ]
        # widths lie between grid points
        assert table.predict(sizes) == pytest.approx(cost(sizes), rel=0.05)
    depths = {len(shape) for shape in stopwatch.calls[0]}
    assert max(depths) == layers
    assert any(
        len(shape) == layers and all((s.heads, s.intermediate_size) == (4, 128) for s in shape)
        for shape in stopwatch.calls[0]
    )


def test_models_of_several_head_sizes_are_refused() -> None:
    model = config(2)
    model.layers = [*model.layers[:1], {"heads": 2, "head_size": 4, "intermediate_size": 8}]
    with pytest.raises(ValueError, match="one head size"):
        measured_table(model, CONDITIONS, SILENT, measure=Stopwatch())


def test_a_cached_table_is_measured_once(tmp_path: Path) -> None:
    stopwatch, model, folder = Stopwatch(), config(), tmp_path / "new" / "latency"

    def table(config: Any = model, **changes: Any) -> LatencyTable:
        conditions = replace(CONDITIONS, **changes)
        return cached_latency_table(folder, config, conditions, SILENT, measure=stopwatch)

    first = table()
    assert table() == first
    assert table(lengths=LENGTHS[::-1]) == first  # the same lengths in another order
    assert table(config=config(dropout=0.3)) == first
    assert len(stopwatch.calls) == 1
    for change in (
        {"threads": 2},
        {"lengths": [*LENGTHS, 30]},
        {"plan": QuantizationPlan()},
        {"config": config(layers=2)},
        {"config": config(hidden_size=24)},
        {"seconds": 1.0},  # less than the usual
    ):
        before = len(stopwatch.calls)
        table(**change)
        assert len(stopwatch.calls) == before + 1, change
    assert len(list(folder.iterdir())) == 7


def test_another_machine_measures_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopwatch = Stopwatch()
    for cpu in ("one", "another"):
        environment = {"cpu": {"model": cpu}, "libraries": {"onnxruntime": "1"}}
        monkeypatch.setattr(latency_measurement, "describe_environment", environment.copy)
        cached_latency_table(tmp_path, config(), CONDITIONS, SILENT, measure=stopwatch)
    assert len(stopwatch.calls) == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"base_ms": 1}', b"\xff\xfe"])
def test_a_damaged_file_is_measured_again(tmp_path: Path, damage: bytes) -> None:
    stopwatch = Stopwatch()
    first = cached_latency_table(tmp_path, config(), CONDITIONS, SILENT, measure=stopwatch)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    again = cached_latency_table(tmp_path, config(), CONDITIONS, SILENT, measure=stopwatch)
    assert again == first
    assert len(stopwatch.calls) == 2
    cached_latency_table(tmp_path, config(), CONDITIONS, SILENT, measure=stopwatch)
    assert len(stopwatch.calls) == 2  # it was written again


def test_a_folder_that_cannot_be_written_to_costs_only_the_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    table = cached_latency_table(
        blocked / "latency", config(), CONDITIONS, SILENT, measure=Stopwatch()
    )
    assert table.predict(config().layer_sizes) > 0


def test_tables_lie_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEPRESS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_folder() == tmp_path / "xdg" / "edgepress" / "latency"
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "own"))
    assert default_cache_folder() == tmp_path / "own" / "latency"


@pytest.mark.parametrize("plan", [None, QuantizationPlan()])
def test_models_are_really_timed(plan: QuantizationPlan | None) -> None:
    shapes = [
        (LayerSizes(4, 8, 128),) * 3,
        (LayerSizes(0, 8, 0),),
        (LayerSizes(1, 8, 0), LayerSizes(0, 8, 64)),
    ]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    conditions = replace(CONDITIONS, plan=plan, seconds=0.0)
    times = measure_shapes(config(), shapes, conditions, SILENT)
    assert times.ms.shape == (3,)
    assert (times.ms > 0).all()
    assert not times.watched  # nothing tells tests what runs beside them
    assert torch.rand(1) == expected  # random weights leave the caller's seed alone


def test_a_table_of_a_busy_machine_is_kept_for_its_run_alone(tmp_path: Path) -> None:
    machine, own, other = (tmp_path / name for name in ("machine", "own", "other"))
    busy, quiet = Stopwatch(doubt="other processes used 48% of the cores"), Stopwatch()

    def table(stopwatch: Stopwatch, run: Path | None, **options: bool) -> LatencyTable:
        return cached_latency_table(
            machine, config(), CONDITIONS, SILENT, doubtful=run, measure=stopwatch, **options
        )

    first = table(busy, own)
    assert "not to be relied on: other processes used 48% of the cores" in first.describe()
    assert table(quiet, own).doubt == first.doubt  # the same run goes on with it
    assert not machine.exists()
    assert table(quiet, other).doubt == ""  # another one measures, and keeps it for all
    assert table(busy, None).doubt == ""
    assert (len(busy.calls), len(quiet.calls)) == (1, 1)
    assert table(quiet, own, remeasure=True).doubt == ""
    assert not list(own.iterdir())
    assert table(busy, own).doubt == ""


def test_a_table_says_when_it_was_measured(tmp_path: Path) -> None:
    def table(**options: bool) -> LatencyTable:
        return cached_latency_table(
            tmp_path, config(), CONDITIONS, SILENT, measure=Stopwatch(), **options
        )

    table()
    (path,) = tmp_path.iterdir()
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "measured": "2020-01-02T03:04+00:00"}))
    said = table().describe()
    assert said == "of 2020-01-02T03:04+00:00, measured while the machine was quiet"
    assert not table(remeasure=True).measured.startswith("2020")
    assert not table().measured.startswith("2020")
    unsaid = "nothing told whether the machine was quiet"
    path.write_text(json.dumps({**kept, "measured": "2020-01-02T03:04+00:00", "watched": False}))
    assert table().describe() == f"of 2020-01-02T03:04+00:00, {unsaid}"
    earlier = {name: kept[name] for name in ("base_ms", "inner", "last")}
    path.write_text(json.dumps(earlier))
    assert table().describe() == f"of an unknown day, {unsaid}"


def test_turns_beside_others_are_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model's first turn is disturbed, and takes ten times as long."""
    taken = Taken(others_s=1.0, stolen_s=0.0, cores_s=2.0, allowed_s=0.25)
    turns: list[float] = []

    def turn(*_: Any) -> float:
        turns.append(10.0 if len(turns) % 2 == 0 else 1.0)
        return turns[-1]

    monkeypatch.setattr("benchmarks.profiling.timing._turn", turn)
    monkeypatch.setattr(Watch, "_wait_for_quiet", lambda watch: None)
    monkeypatch.setattr(Watch, "_taken", lambda watch: taken if turns[-1] == 10 else None)
    shapes = [(LayerSizes(1, 8, 8),), (LayerSizes(2, 8, 8),)]
    for patience, ms, kept in (("60", [1.0, 1.0], 0), ("0", [10.0, 1.0], 1)):
        monkeypatch.setenv("EDGEPRESS_PATIENCE", patience)
        turns.clear()
        times = measure_shapes(config(), shapes, replace(CONDITIONS, seconds=0.0), SILENT)
        assert times.ms.tolist() == ms
        assert times.doubt == ("other processes used 50% of the cores in 1 of 2 turns" * kept)


@pytest.mark.parametrize("lengths", [[], [0, 4], [33]])
def test_impossible_lengths_are_refused(lengths: list[int]) -> None:
    conditions = replace(CONDITIONS, lengths=lengths, seconds=1.0)
    with pytest.raises(ValueError, match="from 1 to 32 tokens"):
        measure_shapes(config(), [(LayerSizes(1, 8, 8),)], conditions, SILENT)


def test_a_table_in_earnest(tmp_path: Path) -> None:
    conditions = replace(CONDITIONS, plan=QuantizationPlan(), seconds=1.0)
    model = config(2, heads=2, neurons=64, type_vocab_size=0)
    table = cached_latency_table(tmp_path, model, conditions, SILENT)
    assert table.inner.attention_ms.sizes == (0, 1, 2)
    assert table.predict(model.layer_sizes) > 0
    smaller = [LayerSizes(1, 8, 32), LayerSizes(1, 8, 32)]
    assert table.predict(smaller) <= table.predict(model.layer_sizes)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".json"
