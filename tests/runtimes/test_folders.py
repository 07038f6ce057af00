"""Folders that appear whole, with several writers and after kills."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runtimes.artifact import Manifest, read_manifest, verify, write_artifact
from runtimes.folders import locked, made_once, partial_folder, remove, write_text

# Writes TARGET over and over; each time its files say which process and which turn wrote them.
WRITER = """
    import sys
    from pathlib import Path
    from runtimes.artifact import Manifest, ModelEntry, write_artifact

    target, who = Path(sys.argv[1]), sys.argv[2]
    entry = ModelEntry(
        runtime="onnxruntime", format="onnx", path="onnx/model.onnx", precision="fp32"
    )
    manifest = Manifest(
        task="text-classification",
        labels=("no", "yes"),
        problem_type="single_label_classification",
        max_length=8,
        pad_token_id=0,
        type_ids=False,
        pairs=False,
        models=(entry,),
    )

    def populate(folder):
        for name in ("config.json", "onnx/model.onnx"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{who} {turn}")

    for turn in range(25):
        write_artifact(target, manifest, populate)
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_writers_of_one_artifact_leave_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "artifact"
    writers = [start(WRITER, str(target), who) for who in ("one", "two")]
    for writer in writers:
        _, stderr = writer.communicate(timeout=120)
        assert writer.returncode == 0, stderr
    manifest = read_manifest(target)
    verify(target, manifest)
    assert (target / "config.json").read_text() == (target / "onnx/model.onnx").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from runtimes.folders import partial_folder

        with partial_folder(Path(sys.argv[1])) as partial:
            (partial / "half").write_text("...")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = start(code, str(tmp_path / "target"))
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob(".target.*.partial")
    with partial_folder(tmp_path / "target") as partial:
        assert not left.exists()
        with partial_folder(tmp_path / "target") as another:  # held folders are not touched
            assert partial.is_dir()
            assert another != partial
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from runtimes.folders import locked

        with locked(Path(sys.argv[1])):
            print("held", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), locked(tmp_path, wait=False):
            pass
    with locked(tmp_path, wait=False):  # it ended
        assert list(tmp_path.iterdir()) == []  # and a lock is no file


def test_a_partial_folder_has_the_rights_of_any_folder(tmp_path: Path) -> None:
    (tmp_path / "any").mkdir()
    with partial_folder(tmp_path / "target") as partial:
        assert partial.stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_stands_in_the_way_of_the_swap_is_removed(
    tmp_path: Path, artifact: Path, manifest: Manifest, kind: str
) -> None:
    previous = artifact.with_name(f".{artifact.name}.previous")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        previous.write_text("x")
    elif kind == "link":
        previous.symlink_to(elsewhere)
    else:
        previous.mkdir()
    before = read_manifest(artifact)
    write_artifact(artifact, manifest, _write_another)
    assert read_manifest(artifact).files != before.files
    assert not os.path.lexists(previous)
    assert elsewhere.is_dir()


def test_a_link_goes_on_pointing_at_the_artifact(tmp_path: Path, artifact: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(artifact)
    manifest = dataclasses.replace(read_manifest(artifact), models=(), files={})
    write_artifact(link, manifest, lambda folder: None)
    assert link.is_symlink()
    assert sorted(path.name for path in artifact.iterdir()) == ["manifest.json"]


def test_removing_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("link", "absent"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def _write_another(folder: Path) -> None:
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"another model")


def test_of_several_processes_the_first_one_wins(tmp_path: Path) -> None:
    target = tmp_path / "below" / "target"
    with made_once(target) as late, made_once(target) as early:
        assert late != early
        (early / "early").write_text("")
        (late / "late").write_text("")
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert [path.name for path in target.iterdir()] == ["early"]


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file.json"
    write_text(path, "old\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text(encoding="utf-8") == "old\n"
    write_text(path, "ü\n")
    assert path.read_text(encoding="utf-8") == "ü\n"
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]
