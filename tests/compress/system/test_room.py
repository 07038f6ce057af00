"""What is short is said before work begins; full disks are named, whichever library meets them."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from compress.errors import EdgepressError
from compress.system import room as module
from compress.system.memory import Limit
from compress.system.room import Room, check_room, naming_full_disks


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the full device of Linux")
def test_a_full_disk_is_named_with_its_room(tmp_path: Path) -> None:
    message = r"no space left .* of .* \(.* are free\)"
    with pytest.raises(EdgepressError, match=message), naming_full_disks(tmp_path):
        Path("/dev/full").write_text("x" * 100_000)


def test_libraries_with_errors_of_their_own_are_understood(tmp_path: Path) -> None:
    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(EdgepressError, match=r"of .*deep"), naming_full_disks(tmp_path / "deep"):
        raise SafetensorError(said)


def test_the_file_that_the_system_names_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match=r"x\.bin") as caught, naming_full_disks(tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "x.bin"))
    assert "run the same command again" in str(caught.value.hint)


def test_other_failures_pass() -> None:
    for error in (OSError(errno.EACCES, "no"), RuntimeError("(os error 2)"), ValueError("28")):
        with pytest.raises(type(error)), naming_full_disks(Path()):
            raise error


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
