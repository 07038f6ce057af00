"""Full disks are named, whichever library meets them."""

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from compress.errors import EdgepressError
from compress.system.disk import naming_full_disks


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
