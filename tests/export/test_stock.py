"""The rivals' exports open through `runtimes`; a family without importer lives on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.encoder.folding import UnsupportedArchitectureError
from compress.encoder.importers.registry import import_encoder
from export.fallback import export_fallback_artifact
from export.stock import STOCK_EXPORTS, export_stock
from runtimes import load, open_checkpoint, open_model_folder
from runtimes.artifact import read_manifest, verify
from runtimes.errors import ModelError
from runtimes.tokenization import Tokenizer


@pytest.fixture
def calibration(tokenizer: Any, texts: list[str], tmp_path: Path) -> list[dict[str, np.ndarray]]:
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    encoder = Tokenizer.from_folder(tmp_path / "tokenizer")
    return [encoder.encode([text]) for text in texts[:4]]


def save(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def bert(tokenizer: Any, tmp_path: Path) -> Path:
    """Saved in half precision, and without names for its two classes."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    model = BertForSequenceClassification(config).bfloat16()
    return save(model, tokenizer, tmp_path / "bert")


@pytest.mark.slow
def test_stock_exports_open_and_agree(
    bert: Path, texts: list[str], calibration: list[Any], tmp_path: Path
) -> None:
    with open_checkpoint(bert) as reference:
        expected = reference.logits(texts)
    for name, (runtime, precision, _) in STOCK_EXPORTS.items():
        export_stock(bert, tmp_path / name, name, calibration)
        with open_model_folder(tmp_path / name, runtime=runtime, precision=precision) as model:
            logits = model.logits(texts)
            assert model.labels == ("LABEL_0", "LABEL_1")
        assert logits.shape == expected.shape, name
        if name == "onnx-fp32":
            assert np.abs(logits - expected).max() < 1e-3
        assert (logits.argmax(-1) == expected.argmax(-1)).mean() >= 0.85, name
        if runtime == "onnxruntime":  # what is not stated is read from the file
            with open_model_folder(tmp_path / name, runtime=runtime, precision="auto") as model:
                assert model.session.precision == precision
    assert not list(tmp_path.glob(".*"))


_OWN = {
    "deberta-v2": {  # as v2-xlarge has it
        "conv_kernel_size": 3,
        "conv_act": "gelu",
        "num_hidden_layers": 1,
        "relative_attention": True,
        "position_buckets": 16,
        "pos_att_type": ["p2c", "c2p"],
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
    },
    "modernbert": {
        "num_hidden_layers": 2,
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["deberta-v2", "modernbert"])
def test_a_family_without_importer_becomes_an_artifact(
    family: str, tokenizer: Any, texts: list[str], calibration: list[Any], tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        vocab_size=60,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
        pad_token_id=0,
        id2label={0: "no", 1: "yes"},
        **_OWN[family],
    )
    model = AutoModelForSequenceClassification.from_config(config)
    source = save(model, tokenizer, tmp_path / family)
    with pytest.raises(UnsupportedArchitectureError, match=family):
        import_encoder(source)
    (tmp_path / "scratch").mkdir()
    manifest = export_fallback_artifact(
        source,
        tmp_path / "artifact",
        scratch=tmp_path / "scratch",
        max_length=24,
        pairs=False,
        calibration=calibration,
        lineage=[{"stage": "quantize"}],
    )
    verify(tmp_path / "artifact", read_manifest(tmp_path / "artifact"))
    assert manifest.labels == ("no", "yes")
    assert manifest.max_length == 24
    with open_checkpoint(source) as reference:
        expected = reference.logits(texts)
    assert [one["verdict"] for one in manifest.metrics["checks"]] == ["right", "right"]
    for runtime in ("onnxruntime", "openvino"):
        with load(tmp_path / "artifact", runtime=runtime) as classify:
            logits = classify.logits(texts)
            # With AMX, OpenVINO's INT8 convolution remembers a longer text.
            alone = {text: classify.logits([text])[0] for text in sorted(texts, key=len)}
            after = {text: classify.logits([text])[0] for text in sorted(texts, key=len)[::-1]}
        assert (logits.argmax(-1) == expected.argmax(-1)).mean() >= 0.85, runtime
        for text in texts:
            np.testing.assert_allclose(after[text], alone[text], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_says_so_and_leaves_nothing(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.exporters.exporter_onnx import OnnxExporter

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator\nand a page of details")

    monkeypatch.setattr(OnnxExporter, "export", fail)
    with pytest.raises(ModelError, match=r"cannot make onnx-fp32: no such operator$"):
        export_stock(bert, tmp_path / "target", "onnx-fp32")
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / ".target.partial").exists()


def test_libraries_are_quiet_only_inside(capfd: pytest.CaptureFixture[str]) -> None:
    import logging
    import warnings

    from export.quiet import quiet_libraries

    logger = logging.getLogger("nncf")
    before = logger.level
    with quiet_libraries():
        print("chatter")
        warnings.warn("chatter", stacklevel=1)
        logger.warning("chatter")
    assert logger.level == before
    print("ours")
    assert capfd.readouterr().out == "ours\n"
