"""The room that a run takes is known before it begins, and said where there is less."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from compress.config.recipe import load_recipe
from compress.errors import EdgepressError
from compress.pipeline import room as module
from compress.pipeline.room import Room, Sizes, check_room, estimate_room
from compress.system.memory import Limit

DEMO = ["speedups=[1.5, 2.5]", "beyond=false", "quantize.alternatives=false"]
TINY = ["stages=[distill, prune, quantize]", "speedups=[]", "quantize.alternatives=false"]


# What `du` says of finished runs: of MiniLM-L6, the demo, and a model of these tests.
@pytest.mark.parametrize(
    ("sizes", "overrides", "measured"),
    [
        (Sizes(22_715_000, 30_522 * 384, 6, 711_649), [], 1_235_467_000),
        (Sizes(3_758_000, 2_000 * 256, 4, 42_623), DEMO, 122_089_517),
        (Sizes(30_506, 26 * 32, 3, 3_237), [*TINY, "benchmark.baselines=[onnx-fp32]"], 2_486_847),
    ],
    ids=["minilm", "demo", "tiny"],
)
def test_the_estimate_is_right_to_half(sizes: Sizes, overrides: list[str], measured: int) -> None:
    kept = estimate_room(sizes, load_recipe(overrides=overrides)).kept_bytes
    assert measured / 1.5 < kept < measured * 1.5


def test_fewer_members_and_exports_take_less() -> None:
    sizes = Sizes(1_000_000, 100_000, 4, 1_000)
    whole, fewer, alone = (
        estimate_room(sizes, load_recipe(overrides=each)).kept_bytes
        for each in ([], ["speedups=[2]"], ["speedups=[2]", "benchmark.baselines=[]"])
    )
    assert whole > fewer > alone


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "list[str]":
    """What is said where the disk has 1 GB left and memory is 1 GB."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    monkeypatch.setattr(module, "memory_limits", lambda: [Limit(1_000_000_000, "container")])
    return []


def test_enough_room_is_not_spoken_of(tmp_path: Path, said: list[str]) -> None:
    check_room(Room(5e8, 4e8, 5e8), tmp_path, said.append)
    assert said == []


def test_what_is_short_is_said_with_need_and_room(tmp_path: Path, said: list[str]) -> None:
    check_room(Room(9e8, 4e8, 2e9), tmp_path, said.append)
    disk, memory = said
    assert "needs about 900.0 MB in" in disk
    assert "1.0 GB are free there" in disk
    assert "needs about 2.0 GB of memory; there are 1.0 GB (container)" in memory


def test_a_disk_that_is_too_small_for_certain_is_refused(tmp_path: Path, said: list[str]) -> None:
    with pytest.raises(EdgepressError, match=r"too small: .* 3\.0 GB in .*, and 1\.0 GB are free"):
        check_room(Room(3e9, 0, 1e8), tmp_path, said.append)


def test_what_a_resumed_run_has_is_not_needed_again(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "weights").write_bytes(b"x" * 2_000_000)
    check_room(Room(1.001e9, 0, 0), tmp_path, said.append)
    assert said == []
