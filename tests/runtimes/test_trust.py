"""What is opened is what was verified, whatever becomes of the files; and bad files are refused."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend

from runtimes import load
from runtimes.artifact import Manifest, ModelEntry, read_manifest, write_artifact
from runtimes.errors import ArtifactError, EdgepressError, ModelError, UsageError
from runtimes.json_files import parse_json, read_json
from runtimes.manifest import render

LABELS = ("sad", "fine", "glad")
TEXTS = ["a gorgeous , witty film", "dull"]  # of two lengths: in a list they need the mask
DATA = ("onnx/model.onnx.data",)
ONNX = (
    ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32", weights=DATA),
    ModelEntry(
        "onnxruntime",
        "onnx",
        "onnx/unpadded.onnx",
        "fp32",
        "unpadded",
        ("input_ids",),
        weights=DATA,
    ),
)
OPENVINO = (
    ModelEntry(
        "openvino", "openvino", "openvino/model.xml", "fp32", weights=("openvino/model.bin",)
    ),
)


def as_external(path: Path, data: str) -> None:
    """Put a model's weights beside it."""
    import onnx

    model = onnx.load(path)
    (path.parent / data).unlink(missing_ok=True)
    onnx.save(model, path, save_as_external_data=True, location=data, size_threshold=64)


@pytest.fixture
def publish(
    tmp_path: Path, manifest: Manifest, wordpiece: Backend, token_vectors: np.ndarray, request: Any
) -> Callable[..., Path]:
    """`publish(factor=1)` writes an artifact of both runtimes; another factor, another model."""
    write_onnx, write_openvino = map(request.getfixturevalue, ("write_onnx", "write_openvino"))
    vectors = token_vectors.copy()

    def make(factor: float = 1.0, labels: tuple[str, ...] = LABELS) -> Path:
        token_vectors[:] = vectors * factor

        def populate(folder: Path) -> None:
            wordpiece.save(str(folder / "tokenizer.json"))
            for entry in ONNX:
                write_onnx(folder / entry.path, padded=entry.variant == "padded")
                as_external(folder / entry.path, "model.onnx.data")
            write_openvino(folder / "openvino" / "model.xml")
            (folder / "README.md").write_text("a card")

        target = tmp_path / "published"
        models = (*ONNX, *OPENVINO)
        write_artifact(
            target, dataclasses.replace(manifest, models=models, labels=labels), populate
        )
        return target

    return make


@pytest.fixture
def answers(publish: Callable[..., Path]) -> dict[str, Any]:
    """By runtime, what the published model says of the texts, alone and in a list."""
    folder, found = publish(), {}
    for runtime in ("onnxruntime", "openvino"):
        with load(folder, runtime=runtime, threads=1) as predict:
            found[runtime] = [*map(predict, TEXTS), predict(TEXTS)]
    return found


def republish(folder: Path, publish: Callable[..., Path]) -> None:
    publish(-1.0, ("one", "two", "three"))


def remove(folder: Path, publish: Callable[..., Path]) -> None:
    shutil.rmtree(folder)


def move(folder: Path, publish: Callable[..., Path]) -> None:
    folder.rename(folder.with_name("elsewhere"))


def change_folder(folder: Path, publish: Callable[..., Path]) -> None:
    os.chdir("/")


@pytest.mark.parametrize("happens", [republish, remove, move, change_folder])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_invariant": False},
        {"batch_invariant": False, "verify": False},
        {"batch_invariant": False, "sessions": 2},
        {"sessions": 2},
    ],
    ids=str,
)
def test_what_becomes_of_the_folder_changes_no_answer(
    publish: Callable[..., Path],
    answers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    runtime: str,
    happens: Callable[..., None],
    options: dict[str, Any],
) -> None:
    folder = publish()
    monkeypatch.chdir(folder.parent)
    with load(folder.name, runtime=runtime, threads=1, **options) as predict:
        happens(folder, publish)
        assert [*map(predict, TEXTS)] == answers[runtime][:2]
        later = "batch_invariant" in options  # a second file, at the first list
        if later and runtime == "onnxruntime" and happens is not change_folder:  # opened by name
            with pytest.raises(ArtifactError, match="is not the file that was loaded any more"):
                predict(TEXTS)
        else:
            assert predict(TEXTS) == answers[runtime][2]


@pytest.mark.parametrize("kept", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("verify", [True, False])
def test_files_overwritten_in_place_never_change_an_answer(
    publish: Callable[..., Path], verify: bool, kept: float
) -> None:
    """Nor do shorter ones end the process, as reading behind the end of a mapped file does."""
    folder = publish()
    with load(folder, runtime="onnxruntime", threads=1, verify=verify) as predict:
        before = (folder / "onnx" / "model.onnx").stat().st_mtime_ns
        for path in (folder / "onnx").iterdir():
            path.write_bytes(b"\xff" * int(kept * path.stat().st_size))
            os.utime(path, ns=(before, before + 1))
        for inputs in (*TEXTS, TEXTS):
            with pytest.raises(ArtifactError, match=r"onnx.model.* was (changed|overwritten)"):
                predict(inputs)
    folder = publish()
    with load(folder, runtime="openvino", threads=1, options={"buckets": True}) as predict:
        for path in (folder / "openvino").iterdir():
            path.write_bytes(b"")
        assert predict("not " * 12)[0]["label"] in LABELS  # a length that is compiled now


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_closed_model_says_so(publish: Callable[..., Path], runtime: str) -> None:
    predict = load(publish(), runtime=runtime, threads=1)
    predict.close()
    for inputs in (TEXTS[0], TEXTS):
        with pytest.raises(UsageError, match="closed"):
            predict(inputs)
    predict.close()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_an_error(
    publish: Callable[..., Path], value: float
) -> None:
    with pytest.raises(ArtifactError, match="no finite number"):
        load(publish(value), runtime="onnxruntime")


def test_a_runtime_whose_files_were_removed_is_passed_over(
    publish: Callable[..., Path], answers: dict[str, Any]
) -> None:
    folder = publish()
    shutil.rmtree(folder / "onnx")
    (folder / "README.md").write_text("another card")
    with load(folder, threads=1) as predict:
        assert [*map(predict, TEXTS), predict(TEXTS)] == answers["openvino"]
    with pytest.raises(ArtifactError, match="is missing"):
        load(folder, runtime="onnxruntime")
    shutil.rmtree(folder / "openvino")
    with pytest.raises(ArtifactError, match="is missing"):
        load(folder)
    folder = publish()
    (folder / "onnx" / "model.onnx.data").unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx\.data is missing"):
        load(folder)


def test_unlisted_files_are_not_read(publish: Callable[..., Path], answers: dict[str, Any]) -> None:
    folder = publish()
    for name in ("modules.json", "config.json", "tokenizer_config.json"):
        (folder / name).write_text("[" * 100_000)
    with load(folder, runtime="onnxruntime", threads=1) as predict:
        assert [*map(predict, TEXTS), predict(TEXTS)] == answers["onnxruntime"]


@pytest.mark.parametrize("index", [20, 10**6])
def test_a_tokenizer_with_more_tokens_than_the_model_knows_is_refused(
    tmp_path: Path,
    manifest: Manifest,
    wordpiece: Backend,
    write_onnx: Callable[..., Path],
    index: int,
) -> None:
    def populate(folder: Path) -> None:
        raw = json.loads(wordpiece.to_str())
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        raw["added_tokens"] = [{**flags, "id": index, "content": "new"}]
        (folder / "tokenizer.json").write_text(json.dumps(raw))
        (folder / "config.json").write_text(json.dumps({"vocab_size": 13}))
        write_onnx(folder / "onnx" / "model.onnx")

    write_artifact(tmp_path / "made", manifest, populate)
    with pytest.raises(ArtifactError, match="and the model knows 13"):
        load(tmp_path / "made")


def forge(folder: Path, **changes: Any) -> None:
    """Change fields of the manifest, its checksum recomputed, as whoever can write a file can."""
    made = dataclasses.replace(read_manifest(folder), **changes)
    (folder / "manifest.json").write_bytes(render(made))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": ()}, "labels"),
        ({"labels": "abc"}, "labels"),
        ({"labels": (None, 1, 2)}, "labels"),
        ({"labels": ("sad", "glad")}, "3 outputs but 2 labels"),
        ({"max_length": -1}, "max_length"),
        ({"max_length": 0}, "max_length"),
        ({"max_length": 2}, "max_length"),
        ({"max_length": True}, "max_length"),
        ({"max_length": "16"}, "max_length"),
        ({"max_length": 10**9}, "max_length"),
        ({"pad_token_id": 10**9}, "pad_token_id"),
        ({"pad_token_id": 10**12}, "pad_token_id"),
        ({"pad_token_id": -1}, "pad_token_id"),
        ({"format": 0}, "format"),
        ({"format": -1}, "format"),
        ({"format": "1"}, "format"),
        ({"format": True}, "format"),
        ({"format": 1.5}, "format"),
        ({"type_ids": "no"}, "type_ids"),
        ({"pairs": 1}, "pairs"),
        ({"task": "nothing"}, "nothing"),
        ({"problem_type": "any"}, "problem_type"),
        ({"files": []}, "files"),
        ({"files": {"tokenizer.json": {"sha256": "x", "size_bytes": 1}}}, "sha256"),
        ({"files": {"a" * 5000: {"sha256": "0" * 64, "size_bytes": 1}}}, "unsafe path"),
        ({"models": ()}, "holds no"),
        # OpenVINO opens ONNX files as well, and answers by another graph than was measured then.
        ({"models": (ModelEntry("openvino", "onnx", "onnx/model.onnx", "fp32"),)}, "format"),
        ({"models": (ModelEntry("openvino", "openvino", "onnx/model.onnx", "fp32"),)}, "is 'onnx"),
        ({"models": (ModelEntry("onnxruntime", "onnx", "tokenizer.json", "fp32"),)}, "is 'token"),
        (
            {"models": 2 * (ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32"),)},
            "one file",
        ),
        ({"lineage": ("a",)}, "lineage"),
        ({"metrics": []}, "metrics"),
        ({"created_by": None}, "created_by"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_forged_manifest_is_refused_by_its_field(
    publish: Callable[..., Path], changes: dict[str, Any], field: str
) -> None:
    folder = publish()
    forge(folder, **changes)
    with pytest.raises(ArtifactError, match=field):
        load(folder, runtime="onnxruntime", threads=1)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        "",
        "\x00",
    ],
    ids=range(7),
)
def test_no_json_ends_in_a_traceback(
    publish: Callable[..., Path], tmp_path: Path, content: str
) -> None:
    raw = content.encode()
    with pytest.raises(ValueError, match=r".+"):
        parse_json(raw)
    folder = publish()
    (folder / "tuning.json").write_bytes(raw)  # a convenience: as if it were not there
    load(folder, threads=1).close()
    (folder / "manifest.json").write_bytes(raw)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        load(folder)
    (tmp_path / "config.json").write_bytes(raw)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_json(tmp_path / "config.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(
    "name", ["manifest.json", "tuning.json", "tokenizer.json", "onnx/model.onnx"]
)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_regular_file_is_not_waited_for(
    publish: Callable[..., Path], name: str, kind: str
) -> None:
    folder = publish()
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    if name == "tuning.json":
        load(folder, threads=None).close()
        return
    with pytest.raises(EdgepressError, match=r"is a folder|regular file|no manifest"):
        load(folder)


@pytest.mark.parametrize("threads", [20_000, 2**40, 0, -1, True, "2", None])
def test_settings_that_no_device_has_are_not_taken(
    publish: Callable[..., Path], threads: Any
) -> None:
    from runtimes.fingerprint import device_key
    from runtimes.tuning import read_tuning

    folder = publish()
    best = {"runtime": "onnxruntime", "precision": "fp32", "threads": threads, "options": {}}
    content = {"format": 1, "devices": {device_key(): {"best": best}}}
    (folder / "tuning.json").write_text(json.dumps(content))
    assert read_tuning(folder) is None
    best["threads"] = 1
    (folder / "tuning.json").write_text(json.dumps(content))
    assert read_tuning(folder) is not None
