"""Opening artifacts, bare exports and checkpoints, and what is said when that cannot be done."""

import ast
import csv
import dataclasses
import json
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend

import runtimes
from runtimes import load, open_checkpoint, open_model_folder
from runtimes.adapters import pytorch
from runtimes.artifact import Manifest, ModelEntry, write_artifact
from runtimes.errors import (
    ArtifactError,
    DeviceUnavailableError,
    MissingDependencyError,
    ModelError,
    UsageError,
)
from runtimes.tokenization import Tokenizer
from runtimes.variants import TwoVariants

TEXTS = ["a gorgeous , witty film", "dull", "not witty . " * 9, ("a film", "dull")]
ONNX = ModelEntry("onnxruntime", "onnx", "onnx/model.onnx", "fp32")
OPENVINO = ModelEntry(
    "openvino", "openvino", "openvino/model.xml", "fp32", weights=("openvino/model.bin",)
)


@pytest.fixture
def make_artifact(
    tmp_path: Path,
    manifest: Manifest,
    wordpiece: Backend,
    write_onnx: Callable[..., Path],
    write_openvino: Callable[..., Path],
) -> Callable[..., Path]:
    def make(*entries: ModelEntry) -> Path:
        def populate(folder: Path) -> None:
            wordpiece.save(str(folder / "tokenizer.json"))
            for entry in entries:
                write = write_onnx if entry.format == "onnx" else write_openvino
                write(folder / entry.path, padded=entry.variant == "padded")

        target = tmp_path / "made"
        write_artifact(target, dataclasses.replace(manifest, models=entries), populate)
        return target

    return make


@pytest.mark.parametrize("variant", ["padded", "unpadded"])
@pytest.mark.parametrize("entry", [ONNX, OPENVINO], ids=["onnxruntime", "openvino"])
def test_an_artifact_answers_the_same_on_every_runtime(
    make_artifact: Callable[..., Path],
    expected_logits: Callable[..., np.ndarray],
    entry: ModelEntry,
    variant: str,
) -> None:
    folder = make_artifact(dataclasses.replace(entry, variant=variant))
    with load(folder, threads=1) as predict:
        assert (predict.session.runtime, predict.session.device) == (entry.runtime, "cpu")
        assert predict.session.precision == "fp32"
        np.testing.assert_allclose(predict.logits(TEXTS), expected_logits(TEXTS), atol=1e-5)
        alone = [predict.logits([text])[0] for text in TEXTS]
        np.testing.assert_allclose(alone, expected_logits(TEXTS), atol=1e-5)


def test_two_variants_answer_as_one(
    make_artifact: Callable[..., Path], expected_logits: Callable[..., np.ndarray]
) -> None:
    lean = dataclasses.replace(
        ONNX, path="onnx/unpadded.onnx", variant="unpadded", inputs=("input_ids",)
    )
    folder = make_artifact(ONNX, lean, OPENVINO)
    with load(folder, runtime="onnxruntime", threads=1) as predict:
        assert isinstance(predict.session, TwoVariants)
        np.testing.assert_allclose(predict.logits(TEXTS), expected_logits(TEXTS), atol=1e-5)
        alone = [predict.logits([text])[0] for text in TEXTS]
        np.testing.assert_allclose(alone, expected_logits(TEXTS), atol=1e-5)
    with load(folder, runtime="openvino", threads=1) as predict:
        assert not isinstance(predict.session, TwoVariants)


def test_the_first_model_of_the_manifest_is_preferred_and_others_can_be_asked_for(
    make_artifact: Callable[..., Path],
) -> None:
    folder = make_artifact(OPENVINO, ONNX)
    for options, expected in (
        ({}, "openvino"),
        ({"runtime": "onnxruntime"}, "onnxruntime"),
        ({"precision": "fp32"}, "openvino"),
    ):
        with load(folder, threads=1, **options) as predict:  # type: ignore[arg-type]
            assert predict.session.runtime == expected


def test_a_runtime_that_is_not_installed_is_passed_over(
    make_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_artifact(ONNX, OPENVINO)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with load(folder, threads=1) as predict:
        assert predict.session.runtime == "openvino"
    with pytest.raises(MissingDependencyError, match="onnxruntime cannot be imported") as caught:
        load(folder, runtime="onnxruntime")
    assert "pip install onnxruntime" in str(caught.value)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError) as caught:
        load(folder)
    assert "pip install onnxruntime  or  pip install openvino" in str(caught.value)
    assert {d.available for d in runtimes.devices() if d.runtime != "pytorch"} == {False}


def test_what_the_artifact_does_not_hold_is_an_error_that_lists_what_it_holds(
    artifact: Path,
) -> None:
    with pytest.raises(ArtifactError, match="no openvino model; it holds: fp32 onnxruntime"):
        load(artifact, runtime="openvino")
    with pytest.raises(ArtifactError, match="no int8 model"):
        load(artifact, precision="int8")
    with pytest.raises(UsageError, match="Did you mean onnxruntime"):
        load(artifact, runtime="onnxruntim")


def test_a_device_that_is_absent_is_an_error_with_the_reason(
    make_artifact: Callable[..., Path],
) -> None:
    folder = make_artifact(ONNX, OPENVINO)
    with pytest.raises(DeviceUnavailableError, match="abacus") as caught:
        load(folder, device="abacus")
    assert "ONNX Runtime" in str(caught.value)
    assert "OpenVINO" in str(caught.value)


@pytest.mark.parametrize("task", ["sentence-embedding", "fill-mask", "multiple-choice"])
def test_labels_that_a_task_does_not_have_are_an_error(
    task: str,
    tmp_path: Path,
    manifest: Manifest,
    wordpiece: Backend,
    write_onnx: Callable[..., Path],
) -> None:
    def populate(folder: Path) -> None:
        wordpiece.save(str(folder / "tokenizer.json"))
        write_onnx(folder / "onnx" / "model.onnx")

    write_artifact(tmp_path / "artifact", dataclasses.replace(manifest, task=task), populate)
    with pytest.raises(ArtifactError, match=f"{task} has no labels but"):
        load(tmp_path / "artifact")


def test_verification_can_be_skipped_but_is_the_default(artifact: Path) -> None:
    path = artifact / "tokenizer.json"
    text = path.read_text()
    for changed in (text + " ", text.replace("\n", "\r\n"), text.replace("\n", " ", 1)):
        path.write_bytes(changed.encode())
        with pytest.raises(ArtifactError, match=r"tokenizer\.json") as caught:
            load(artifact)
        assert "If you changed it yourself: load(..., verify=False)" in str(caught.value.hint)
        with load(artifact, verify=False) as predict:
            assert predict("film")[0]["label"] in predict.labels


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("model.onnx", "onnxruntime"),
        ("onnx/model.onnx", "onnxruntime"),
        ("openvino_model.xml", "openvino"),
        ("openvino/model.xml", "openvino"),
    ],
)
def test_a_bare_export_opens_with_the_configuration_beside_it(
    tmp_path: Path,
    wordpiece: Backend,
    write_onnx: Callable[..., Path],
    write_openvino: Callable[..., Path],
    expected_logits: Callable[..., np.ndarray],
    name: str,
    runtime: str,
) -> None:
    folder = tmp_path / "export"
    (write_onnx if name.endswith(".onnx") else write_openvino)(folder / name)
    wordpiece.save(str(folder / "tokenizer.json"))
    config = {"id2label": {"0": "sad", "1": "fine", "2": "glad"}, "max_position_embeddings": 16}
    (folder / "config.json").write_text(json.dumps(config))
    with open_model_folder(folder, threads=1) as predict:
        assert predict.session.runtime == runtime
        assert predict.labels == ("sad", "fine", "glad")
        np.testing.assert_allclose(predict.logits(TEXTS), expected_logits(TEXTS), atol=1e-5)
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "sad", "2": "glad"}}))
    with pytest.raises(ModelError, match="not a name for each class from 0 on"):
        open_model_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ArtifactError, match="id2label"):
        open_model_folder(folder)


def test_an_export_that_wants_what_no_tokenizer_gives_is_refused(
    tmp_path: Path, wordpiece: Backend, write_onnx: Callable[..., Path]
) -> None:
    import onnx

    path = write_onnx(tmp_path / "model.onnx")
    model = onnx.load(path)
    more = onnx.helper.make_tensor_value_info("position_ids", onnx.TensorProto.INT64, ["B", "T"])
    model.graph.input.append(more)
    onnx.save(model, path)
    wordpiece.save(str(tmp_path / "tokenizer.json"))
    config = {"id2label": {"0": "sad", "1": "fine", "2": "glad"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="position_ids"):
        open_model_folder(tmp_path)


def test_int8_that_may_saturate_on_this_processor_is_warned_of(
    make_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtimes.loading.processor_flags", lambda: frozenset({"avx2"}))
    exact = ("avx512_vnni", "avx_vnni")
    with pytest.warns(RuntimeWarning, match=r"avx512_vnni.*reduce_range"):
        load(make_artifact(dataclasses.replace(ONNX, instruction_sets=exact))).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sets in ((), ("any",), ("avx2",)):
            load(make_artifact(dataclasses.replace(ONNX, instruction_sets=sets))).close()


def test_a_folder_without_a_model_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"looked for: model\.onnx"):
        open_model_folder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "config.json").write_text('{"id2label": {"0": "a"}}')
    with pytest.raises(ArtifactError, match=r"no tokenizer\.json"):
        open_model_folder(tmp_path)


class TestCheckpoints:
    """The full-precision reference."""

    def test_the_reference_is_what_transformers_computes(self, checkpoint: Path) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        predict = open_checkpoint(checkpoint, threads=1)
        assert (predict.session.runtime, predict.session.precision) == ("pytorch", "fp32")
        for item in TEXTS:
            pair = (item,) if isinstance(item, str) else item
            with torch.inference_mode():
                inputs = tokenizer(*pair, truncation=True, max_length=20, return_tensors="pt")
                expected = model(**inputs).logits
            np.testing.assert_allclose(predict.logits([item]), expected.numpy(), atol=1e-6)
            if isinstance(item, str):
                [answer] = predict(item)
                assert answer["label"] == model.config.id2label[expected.argmax().item()]
                assert answer["score"] == pytest.approx(expected.softmax(-1).max().item())

    def test_batches_agree_with_single_texts(self, checkpoint: Path) -> None:
        texts = [text for text in TEXTS if isinstance(text, str)]
        predict = open_checkpoint(checkpoint, threads=1)
        alone = np.concatenate([predict.logits([text]) for text in texts])
        np.testing.assert_allclose(predict.logits(texts, batch_size=2), alone, atol=1e-5)

    def test_our_tokenizer_reads_the_checkpoint_alike(self, checkpoint: Path) -> None:
        stock, ours = open_checkpoint(checkpoint).tokenizer, Tokenizer.from_folder(checkpoint)
        texts = [text for text in TEXTS if isinstance(text, str)]
        for name, array in ours.encode(texts).items():
            np.testing.assert_array_equal(array, stock.encode(texts)[name])
        np.testing.assert_array_equal(ours.rows(texts).lengths, stock.rows(texts).lengths)
        assert (ours.max_length, ours.pad_token_id) == (stock.max_length, stock.pad_token_id)

    def test_a_lean_checkpoint_needs_the_package_that_defines_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "config.json").write_text('{"model_type": "abacus-encoder"}')
        (tmp_path / "model.safetensors").write_bytes(b"")
        absent = EntryPoint("abacus-encoder", "no_such_package:register", "edgepress.checkpoints")
        monkeypatch.setattr(pytorch, "entry_points", lambda group: [absent])
        with pytest.raises(MissingDependencyError, match="abacus-encoder") as caught:
            open_checkpoint(tmp_path)
        assert 'in a clone: pip install ".[compress]"' in str(caught.value)

    def test_what_is_no_safe_checkpoint_is_refused(self, tmp_path: Path, checkpoint: Path) -> None:
        with pytest.raises(ModelError, match="no checkpoint folder"):
            open_checkpoint(tmp_path / "nowhere")
        with pytest.raises(ModelError, match=r"no config\.json"):
            open_checkpoint(tmp_path)
        (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
        with pytest.raises(ModelError, match="has no weights"):
            open_checkpoint(tmp_path)
        (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
        with pytest.raises(ModelError, match="only pickled weights") as caught:
            open_checkpoint(tmp_path)
        assert "save_pretrained" in str(caught.value)
        (tmp_path / "model.safetensors").write_bytes(b"no tensors")
        with pytest.raises(ModelError, match="cannot be loaded"):
            open_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["a b", "$HOME", "it's", "модель"])
def test_the_command_that_converts_pickled_weights_can_be_pasted(
    name: str, tmp_path: Path, checkpoint: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text((checkpoint / "config.json").read_text())
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    with pytest.raises(ModelError, match="only pickled weights") as caught:
        open_checkpoint(folder)
    words = shlex.split(str(caught.value.hint).partition(": ")[2])
    assert words[:2] == ["python", "-c"]
    saved = ast.parse(words[2]).body[-1].value  # type: ignore[attr-defined]
    assert saved.args[0].value == saved.func.value.args[0].value == str(folder)


@pytest.mark.shared
def test_the_real_model_is_tokenized_alike_and_answers_as_measured() -> None:
    shared = Path(os.environ.get("EDGEPRESS_SHARED", "../shared"))
    folder = shared / "models" / "minilm-sst2"
    if not folder.is_dir():
        pytest.skip(f"EDGEPRESS_SHARED ({shared}) holds no models/minilm-sst2")
    with (shared / "data" / "sst2" / "validation.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    ours = Tokenizer.from_folder(folder)
    with open_checkpoint(folder) as predict:
        stock = predict.tokenizer
        for name, array in ours.encode(texts).items():
            np.testing.assert_array_equal(array, stock.encode(texts)[name])
        assert ours.max_length == stock.max_length == 512
        assert predict("a gorgeous , witty film")[0]["label"] == "positive"
