"""The output folder: whose it is, and that what is there is complete."""

from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.system.fingerprint import digest, file_digest
from compress.system.workspace import Workspace


def test_looking_writes_nothing(tmp_path: Path) -> None:
    Workspace(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_an_earlier_run_is_taken_again(tmp_path: Path) -> None:
    first = Workspace(tmp_path / "out")
    first.create()
    (first.scratch / "left.bin").write_text("by a killed run")
    (tmp_path / "out" / "report.md").write_text("x")
    second = Workspace(tmp_path / "out")
    second.create()
    assert not list(second.scratch.iterdir())
    second.close()
    assert not second.scratch.exists()
    assert (tmp_path / "out" / "report.md").exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    Workspace(tmp_path).create()
    assert (tmp_path / ".edgepress" / "run.json").is_file()


def test_what_belongs_to_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="not written by this tool"):
        Workspace(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        Workspace(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    workspace = Workspace(tmp_path / "file" / "below")
    with pytest.raises(UsageError, match=r"cannot be written to: Not a directory") as caught:
        workspace.create()
    assert caught.value.exit_code == 2


def test_a_filled_folder_is_whole_or_absent(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    target = workspace.member("key")

    def half(folder: Path) -> None:
        (folder / "one").write_text("1")
        raise KeyboardInterrupt

    def whole(folder: Path) -> None:
        assert not list(folder.iterdir())  # what the first attempt left is gone
        (folder / "two").write_text("2")

    with pytest.raises(KeyboardInterrupt):
        workspace.fill(target, half)
    assert not target.exists()
    workspace.fill(target, whole)
    assert [path.name for path in target.iterdir()] == ["two"]


def test_digests_depend_on_every_part(tmp_path: Path) -> None:
    assert digest("a", {"x": 1, "y": 2}) == digest("a", {"y": 2, "x": 1})
    assert len({digest("a"), digest("a", 1), digest("b"), digest(["a"]), digest(None)}) == 5
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f").startswith("ba7816bf")
