"""Handing on is whole or not at all, the same each time, and refuses what it cannot do."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tiny_artifact import write_tiny

from compress.cli.app import main
from export.deployment.deploy import deploy
from export.deployment.platforms import PLATFORMS, this_platform
from export.deployment.requirements import applying, pinned_runtimes, pins_of, read_pins, render
from export.layouts.registry import get_layout, layout_names
from runtimes import load
from runtimes.artifact import SIGNATURE_NAME, TUNING_NAME
from runtimes.errors import ArtifactError, EdgepressError, ModelError, UsageError
from runtimes.unpacking import unpack

# What fetches nothing.
LAYOUTS = ("bundle", "transformers.js", "open-inference")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive_holds_the_folder_and_is_the_same_each_time(
    layout: str, artifact: Path, tmp_path: Path
) -> None:
    folder = deploy(artifact, tmp_path / "one", layout=layout, name="mine")
    first = deploy(artifact, tmp_path / "mine.tar.gz", layout=layout, name="mine")
    before = os.umask(0o077)
    try:
        again = deploy(artifact, tmp_path / "more" / "mine.tar.gz", layout=layout, name="mine")
    finally:
        os.umask(before)
    assert again.path.read_bytes() == first.path.read_bytes()
    assert again.sha256 == first.sha256
    shutil.unpack_archive(first.path, tmp_path / "unpacked", filter="data")
    assert contents(tmp_path / "unpacked" / "mine") == contents(tmp_path / "one")
    assert set(folder.files) == set(first.files) == contents(tmp_path / "one").keys()
    with tarfile.open(first.path) as archive:
        for entry in archive:
            assert (entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) == (
                *(0, 0, "", ""),
                0,
            )
            runs = entry.isdir() or Path(entry.name).name in ("install", "run", "check")
            assert entry.mode == (0o755 if runs else 0o644)


def test_each_layout_is_one_file() -> None:
    assert set(layout_names()) == {*LAYOUTS, "docker"}
    for name in layout_names():
        layout = get_layout(name)
        assert name == layout.NAME
        assert layout.DESCRIPTION


@pytest.mark.parametrize("there", ["file", "folder", "empty folder", "link to nowhere"])
@pytest.mark.parametrize("name", ["mine", "mine.tar.gz"])
def test_what_exists_is_not_touched(there: str, name: str, artifact: Path, tmp_path: Path) -> None:
    target = tmp_path / name
    if there == "file":
        target.write_text("mine")
    elif there == "link to nowhere":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if there == "folder":
            (target / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists; nothing was touched"):
        deploy(artifact, target, layout="bundle", name="mine")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert not target.is_dir() or [p.name for p in target.iterdir()] == (
        ["mine"] if there == "folder" else []
    )


def test_what_fails_leaves_nothing(artifact: Path, tmp_path: Path) -> None:
    only_onnx = write_tiny(tmp_path / "only-onnx")
    damaged = tmp_path / "damaged"
    shutil.copytree(artifact, damaged)
    (damaged / "tokenizer.json").write_text("{}")
    wrong: list[tuple[Path, type[EdgepressError], str, dict[str, Any]]] = [
        (damaged, ArtifactError, "tokenizer.json", {}),
        (tmp_path / "none", ArtifactError, "does not exist", {}),
        (only_onnx, ModelError, "no files for OpenVINO", {"runtime": "openvino"}),
        (artifact, UsageError, "no runtime 'tensorrt'", {"runtime": "tensorrt"}),
        (artifact, UsageError, "--platform amiga", {"platform": "amiga", "offline": True}),
        (artifact, UsageError, "--python 2.7", {"python": "2.7", "offline": True}),
        (artifact, UsageError, "from 3.11 on", {"python": "3.10", "offline": True}),
        (
            *(artifact, UsageError, "base is one of linux-x86_64"),
            {"layout": "docker", "platform": "macos-arm64"},
        ),
        (artifact, UsageError, "none do", {"python": "3.12"}),
        (artifact, UsageError, "no wheels", {"layout": "open-inference", "offline": True}),
        (artifact, UsageError, "a name has letters", {"name": "../mine"}),
        (artifact, UsageError, "there are bundle, docker", {"layout": "rpm"}),
        (
            *(artifact, UsageError, "goes with --runtime onnxruntime"),
            {"layout": "transformers.js", "runtime": "openvino"},
        ),
    ]
    out = tmp_path / "out"
    out.mkdir()
    for source, kind, said, settings in wrong:
        with pytest.raises(kind, match=said):
            deploy(source, out / "mine", **{"layout": "bundle", "name": "mine", **settings})
        assert list(out.iterdir()) == [], said


def test_nothing_is_written_into_the_artifact(artifact: Path) -> None:
    before = contents(artifact)
    with pytest.raises(UsageError, match="inside the artifact"):
        deploy(artifact, artifact / "bundle", layout="bundle", name="mine")
    assert contents(artifact) == before


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_bundle_has_one_runtimes_files_and_they_answer(
    runtime: str, artifact: Path, texts: list[str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(artifact, source)
    (source / TUNING_NAME).write_text("{}")
    (source / SIGNATURE_NAME).write_text("a signature")
    deploy(source, tmp_path / "mine", layout="bundle", name="mine", runtime=runtime)
    folder = tmp_path / "mine" / "artifact"
    names = contents(folder).keys()
    assert any("onnx" in name for name in names) == (runtime == "onnxruntime")
    assert any("openvino" in name for name in names) == (runtime == "openvino")
    assert SIGNATURE_NAME in names
    assert TUNING_NAME not in names
    (folder / SIGNATURE_NAME).unlink()
    with load(folder) as ours, load(artifact, runtime=runtime) as theirs:
        assert ours(texts) == theirs(texts)
    wanted = (tmp_path / "mine" / "requirements.txt").read_text()
    assert f"\n{runtime}==" in wanted


def test_files_that_were_removed_are_not_missed(artifact: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(artifact, source, ignore=shutil.ignore_patterns("onnx"))
    done = deploy(source, tmp_path / "mine", layout="bundle", name="mine")
    assert "artifact/openvino_model.xml" in done.files
    assert "\nopenvino==" in (done.path / "requirements.txt").read_text()
    done = deploy(source, tmp_path / "models", layout="open-inference", name="mine")
    assert {Path(name).parts[0] for name in done.files} == {"ovms", "README.md", "tokenizer.json"}
    with pytest.raises(ModelError, match="no files for ONNX Runtime"):
        deploy(source, tmp_path / "web", layout="transformers.js", name="mine")


@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_an_offline_bundle_installs_without_a_network(
    artifact: Path, texts: list[str], tmp_path: Path
) -> None:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    done = deploy(
        artifact, tmp_path / "mine.tgz", layout="bundle", name="mine", python=python, offline=True
    )
    folder = unpack(done.path, tmp_path / "mine")
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("there are no namespaces here")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        "PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
    }
    for script in ("./install", "./check"):
        subprocess.run([*alone, script], cwd=folder, env=environment, check=True)
    shown = subprocess.run(
        [*alone, ".venv/bin/edgepress", "predict", "artifact", *texts],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    with load(artifact, runtime="onnxruntime") as classify:
        labels = [one["label"] for one in classify(texts)]
    assert [line.split("\t")[0] for line in shown.stdout.splitlines()] == labels


def test_a_card_may_have_been_edited(artifact: Path, tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source")
    (source / "README.md").write_text("my own words")
    deploy(source, tmp_path / "mine", layout="bundle", name="mine")
    assert (tmp_path / "mine" / "artifact" / "README.md").read_text() == "my own words"


def test_scripts_and_unit_are_well_formed(artifact: Path, tmp_path: Path) -> None:
    for offline in (False, True):
        folder = tmp_path / str(offline)
        folder.mkdir()
        from export.deployment.templates import write_template

        values = {"name": "mine", "python": "3.12", "offline": offline}
        for script in ("install", "run", "check"):
            write_template(script, folder / script, **values)
            assert os.access(folder / script, os.X_OK)
            subprocess.run(["sh", "-n", folder / script], check=True)
        assert ("--no-index" in (folder / "install").read_text()) == offline
    deploy(artifact, tmp_path / "mine", layout="bundle", name="mine")
    unit = (tmp_path / "mine" / "edgepress-mine.service").read_text()
    assert "ExecStart=/opt/mine/run" in unit
    if shutil.which("systemd-analyze"):
        shown = subprocess.run(
            [
                *("systemd-analyze", "security", "--offline=true", "--no-pager"),
                str(tmp_path / "mine" / "edgepress-mine.service"),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        assert "Unknown" not in shown.stderr
        assert " OK " in shown.stdout.splitlines()[-1], shown.stdout.splitlines()[-1]


def test_sums_cover_every_file(artifact: Path, tmp_path: Path) -> None:
    deploy(artifact, tmp_path / "mine", layout="bundle", name="mine")
    listed = (tmp_path / "mine" / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in listed} == {
        *contents(tmp_path / "mine").keys() - {"SHA256SUMS"}
    }
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "mine", check=True)


def test_requirements_are_for_the_platform() -> None:
    pins = pins_of("onnxruntime", "serve")
    assert {"numpy", "tokenizers", "onnxruntime", "starlette", "uvicorn"} <= pins.keys()
    assert "openvino" not in pins
    linux = applying(pins, PLATFORMS["linux-aarch64"], "3.12")
    windows = applying(pins, PLATFORMS["windows-amd64"], "3.12")
    assert "httptools" in linux
    assert "httptools" not in windows
    assert not any(pin.marker for pin in linux.values())
    assert read_pins(render(pins.values())) == pins
    assert this_platform() in PLATFORMS
    assert this_platform(container=True).startswith("linux-")
    assert pinned_runtimes() == ("onnxruntime", "openvino")
    with pytest.raises(ValueError, match="pins no version"):
        read_pins("numpy>=2\n")


def test_the_command(
    artifact: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["deploy", str(artifact), "--to", "a.tar.gz", "--as", "bundle", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["path"] == str(tmp_path / "a.tar.gz")
    assert found["then"] == "tar xzf a.tar.gz && cd a && ./install && ./check && ./run"
    assert "edgepress-a.service" in found["files"]
    assert main(["unpack", "a.tar.gz", "--to", "b"]) == 0
    assert capfd.readouterr().out == f"unpacked  {tmp_path / 'b'}\n"
    assert os.access(tmp_path / "b" / "run", os.X_OK)
    assert main(["deploy", str(artifact), "--as", "bundle"]) == 2
    assert "--to is missing" in capfd.readouterr().err
    assert main(["deploy", str(artifact), "--to", "c"]) == 2
    assert "--as is missing" in capfd.readouterr().err
    assert main(["deploy", str(artifact), "--to", "a.tar.gz", "--as", "bundle"]) == 2
    assert "exists; nothing was touched" in capfd.readouterr().err
    assert main(["--help"]) == 0
    assert "deploy" in capfd.readouterr().out


def test_no_wheels_are_an_error_in_pips_words(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(EdgepressError, match="No matching distribution") as error:
        deploy(artifact, out / "mine", layout="docker", name="mine")
    assert "PIP_FIND_LINKS" in str(error.value.hint)
    assert list(out.iterdir()) == []
