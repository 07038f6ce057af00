"""The output folder: whose it is, and that what is there is complete."""

import os
from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.system.fingerprint import digest, file_digest
from compress.system.workspace import Identity, Owner, Workspace


def test_looking_writes_nothing(tmp_path: Path) -> None:
    Workspace(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_an_earlier_run_is_taken_again(tmp_path: Path) -> None:
    first = Workspace(tmp_path / "out")
    first.create()
    (first.scratch / "left.bin").write_text("by a killed run")
    left = [first.member(".key.ab.partial"), tmp_path / "out" / ".artifact.cd.partial"]
    for folder in left:
        folder.mkdir(parents=True)
    first.close()  # as the end of its process does
    first.scratch.mkdir()
    (first.scratch / "left.bin").write_text("by a killed run")
    (tmp_path / "out" / "report.md").write_text("x")
    second = Workspace(tmp_path / "out")
    second.create()
    assert not list(second.scratch.iterdir())
    assert not any(folder.exists() for folder in left)
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


def owner(model: str = "bert", data: str = "films", task: str = "text-classification") -> Owner:
    return Owner(Identity(model, f"{model}'s files"), Identity(data, f"{data}'s rows"), task)


class TestWhoseFolderItIs:
    """A folder is taken over only by runs of the same model, data and task."""

    @pytest.mark.parametrize(
        ("other", "named"),
        [
            (owner(model="roberta"), r"\(model bert instead of roberta\)"),
            (owner(data="books"), r"\(data films instead of books\)"),
            (owner(task="fill-mask"), r"\(task text-classification instead of fill-mask\)"),
            (owner("roberta", "books"), "model bert instead of roberta; data films instead"),
        ],
    )
    def test_another_runs_folder_is_refused(self, tmp_path: Path, other: Owner, named: str) -> None:
        with Workspace(tmp_path) as first:
            first.create(owner())
            (first.scratch / "x").touch()
        before = (tmp_path / ".edgepress" / "run.json").read_text()
        second = Workspace(tmp_path)
        with pytest.raises(UsageError, match=named) as caught:
            second.create(other)
        assert "--overwrite" in str(caught.value.hint)
        assert (tmp_path / ".edgepress" / "run.json").read_text() == before
        second.create(other, overwrite=True)  # the refusal has given the lock back
        second.close()
        with Workspace(tmp_path) as third:
            third.create(other)

    def test_what_moved_or_was_made_anew_is_the_same(self, tmp_path: Path) -> None:
        moved = Owner(
            Identity("elsewhere", "bert's files"), Identity("films", "more"), owner().task
        )
        for each in (owner(), moved):
            with Workspace(tmp_path) as workspace:
                workspace.create(each)

    def test_folders_that_say_nothing_are_taken(self, tmp_path: Path) -> None:
        with Workspace(tmp_path) as workspace:
            workspace.create()
        for content in (None, "{", "[]", '{"format": 1, "model": "x"}'):
            if content is not None:
                (tmp_path / ".edgepress" / "run.json").write_text(content)
            with Workspace(tmp_path) as workspace:
                workspace.create(owner())


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    with Workspace(tmp_path) as first:
        first.create(owner())
        with pytest.raises(UsageError, match=rf"another run works on .* \(process {os.getpid()}\)"):
            Workspace(tmp_path).create(owner(), overwrite=True)
        assert first.scratch.is_dir()
    with Workspace(tmp_path) as second:
        second.create(owner())
