"""The artifact folder: what is written is read back, and what is damaged is refused by name."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtimes import load
from runtimes.artifact import (
    FORMAT_VERSION,
    Manifest,
    read_manifest,
    verify,
    write_artifact,
)
from runtimes.errors import ArtifactError


def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path, manifest: Manifest) -> None:
    manifest = dataclasses.replace(
        manifest,
        labels=("traurig", "schön", "\u2028"),
        lineage=({"stage": "prune", "heads": [1, 2]},),
        metrics={"accuracy": {"value": 88.53211009174312}},
        quantization={"scheme": "dynamic"},
    )

    def populate(folder: Path) -> None:
        (folder / "onnx").mkdir()
        (folder / "onnx" / "model.onnx").write_bytes(b"weights")

    written = write_artifact(tmp_path / "out", manifest, populate)
    assert read_manifest(tmp_path / "out") == written
    assert set(written.files) == {"onnx/model.onnx"}
    assert written.files["onnx/model.onnx"]["size_bytes"] == 7
    assert written.created_by.startswith("edgepress")
    verify(tmp_path / "out", written)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_found_and_the_file_is_named(
    artifact: Path, data: st.DataObject
) -> None:
    files = sorted(path for path in artifact.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    mask = data.draw(st.integers(1, 255))
    try:
        path.write_bytes(
            content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :]
        )
        with pytest.raises(ArtifactError, match=path.name):
            load(artifact)
    finally:
        path.write_bytes(content)


def test_white_space_of_the_manifest_is_covered_too(artifact: Path) -> None:
    path = artifact / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b" ", 1))
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        read_manifest(artifact)


def test_a_manifest_without_its_checksum_is_refused(artifact: Path) -> None:
    path = artifact / "manifest.json"
    raw = json.loads(path.read_text())
    del raw["manifest_sha256"]
    path.write_text(json.dumps(raw))
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        read_manifest(artifact)


def test_missing_and_truncated_files_are_named(artifact: Path) -> None:
    manifest = read_manifest(artifact)
    model = artifact / "onnx" / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    with pytest.raises(ArtifactError, match=rf"model\.onnx has {len(content) - 1} bytes"):
        verify(artifact, manifest)
    model.unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        verify(artifact, manifest)
    verify(artifact, manifest, only=["tokenizer.json"])


def test_a_newer_format_is_refused_with_the_way_out(artifact: Path) -> None:
    path = artifact / "manifest.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "format": FORMAT_VERSION + 1}))
    refused = rf"manifest\.json has artifact format {FORMAT_VERSION + 1}"
    with pytest.raises(ArtifactError, match=refused) as caught:
        read_manifest(artifact)
    assert "`make dist` in its repository" in str(caught.value)


def test_format_1_is_read_and_its_weights_are_found_by_name(both_runtimes: Path) -> None:
    path = both_runtimes / "manifest.json"
    raw = json.loads(path.read_text())
    for model in raw["models"]:
        del model["weights"]
    blank = json.dumps({**raw, "format": 1, "manifest_sha256": ""}).encode()
    digest = hashlib.sha256(blank).hexdigest()
    path.write_bytes(
        blank.replace(b'"manifest_sha256": ""', f'"manifest_sha256": "{digest}"'.encode())
    )
    manifest = read_manifest(both_runtimes)
    assert manifest.format == 1
    assert [model.weights for model in manifest.models] == [(), ("openvino/model.bin",)]
    with load(both_runtimes, runtime="openvino") as classify:
        assert classify("a gorgeous film")[0]["label"] in manifest.labels


def test_weights_that_are_not_there_are_missed(tmp_path: Path, manifest: Manifest) -> None:
    entry = dataclasses.replace(manifest.models[0], weights=("onnx/model.onnx_data",))

    def populate(folder: Path) -> None:
        (folder / "onnx").mkdir()
        (folder / "onnx" / "model.onnx").write_bytes(b"graph")

    with pytest.raises(ArtifactError, match=r"names onnx/model\.onnx_data, which was not written"):
        write_artifact(tmp_path / "a", dataclasses.replace(manifest, models=(entry,)), populate)


def test_what_is_no_artifact_is_said_to_be_none(tmp_path: Path, artifact: Path) -> None:
    with pytest.raises(ArtifactError, match="nowhere does not exist"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"has no manifest\.json") as caught:
        read_manifest(tmp_path)
    assert caught.value.hint == f"Did you mean {artifact}?"
    (artifact / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged"):
        read_manifest(artifact)


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path, manifest: Manifest) -> None:
    entry = dataclasses.replace(manifest.models[0], path="../model.onnx")
    with pytest.raises(ArtifactError, match="was not written"):
        write_artifact(
            tmp_path / "out", dataclasses.replace(manifest, models=(entry,)), lambda folder: None
        )


class TestWriting:
    """Writing is all or nothing."""

    def test_an_earlier_artifact_is_replaced_whole(
        self, artifact: Path, manifest: Manifest, write_onnx: Callable[..., Path]
    ) -> None:
        write_artifact(artifact, manifest, lambda f: write_onnx(f / "onnx/model.onnx") and None)
        assert sorted(p.name for p in artifact.rglob("*")) == [
            "manifest.json",
            "model.onnx",
            "onnx",
        ]
        assert [p.name for p in artifact.parent.iterdir() if p.name.startswith(".")] == []

    def test_a_failure_leaves_the_earlier_artifact_alone(
        self, artifact: Path, manifest: Manifest
    ) -> None:
        before = read_manifest(artifact)

        def populate(folder: Path) -> None:
            (folder / "half").write_bytes(b"...")
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            write_artifact(artifact, manifest, populate)
        assert read_manifest(artifact) == before
        verify(artifact, before)
        assert [p.name for p in artifact.parent.iterdir() if p.name.startswith(".")] == []

    def test_a_run_killed_between_the_renames_is_repaired(
        self, artifact: Path, manifest: Manifest
    ) -> None:
        before = read_manifest(artifact)
        shutil.move(artifact, artifact.with_name(f".{artifact.name}.previous"))

        def fail(folder: Path) -> None:
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            write_artifact(artifact, manifest, fail)
        assert read_manifest(artifact) == before

    @pytest.mark.parametrize("beside", ["notes.txt", "onnx/notes.txt"])
    def test_files_of_others_are_never_replaced(
        self, artifact: Path, manifest: Manifest, beside: str
    ) -> None:
        (artifact / beside).write_text("mine")
        with pytest.raises(ArtifactError, match=beside):
            write_artifact(artifact, manifest, lambda folder: None)
        assert (artifact / beside).read_text() == "mine"

    def test_a_folder_that_is_no_artifact_is_never_replaced(
        self, tmp_path: Path, manifest: Manifest
    ) -> None:
        target = tmp_path / "thesis"
        target.mkdir()
        (target / "chapter.txt").write_text("mine")
        with pytest.raises(ArtifactError, match="not an artifact"):
            write_artifact(target, manifest, lambda folder: None)
        assert (target / "chapter.txt").read_text() == "mine"
