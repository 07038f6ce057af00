"""The exports that a user would have picked instead, made with `transformers.exporters`.

They are the rivals in every table, and the way out for families that the lean encoder does not
know. Each is a bare folder: model file, `config.json`, `tokenizer.json`.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.quiet import quiet_libraries
from runtimes.checkpoint import check_checkpoint, open_whole
from runtimes.errors import ModelError
from runtimes.folders import partial_folder, remove
from runtimes.hf_config import read_hf_config
from runtimes.pooling import MODULES, SENTENCE_LIMIT
from runtimes.registry import get_task

__all__ = ["STOCK_EXPORTS", "StockName", "copy_modules", "export_stock"]

StockName = Literal["onnx-fp32", "onnx-int8", "openvino-fp32", "openvino-int8"]

# Name -> (runtime, precision, what it is called in the table)
STOCK_EXPORTS: dict[StockName, tuple[str, str, str]] = {
    "onnx-fp32": ("onnxruntime", "fp32", "stock ONNX export"),
    "onnx-int8": ("onnxruntime", "int8", "stock ONNX export, fused, dynamic INT8"),
    "openvino-fp32": ("openvino", "fp32", "stock OpenVINO export"),
    "openvino-int8": ("openvino", "int8", "stock OpenVINO export, NNCF PTQ"),
}

Inputs = Mapping[str, NDArray[np.int64]]


def export_stock(
    checkpoint: Path, target: Path, name: StockName, calibration: Sequence[Inputs] = ()
) -> None:
    """Export a checkpoint the stock way into `target`, which appears only when it is complete.

    Args:
        checkpoint: Hugging Face folder of a classifier.
        target: Folder to create.
        name: A key of `STOCK_EXPORTS`.
        calibration: Model inputs, each (B, T), for static quantization.

    Raises:
        ModelError: The exporter cannot handle the model; its own message is passed on. Or the
            checkpoint brings code of its own, which is not run.
    """
    check_checkpoint(checkpoint)
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(target) as partial:
        try:
            with quiet_libraries():
                _export(checkpoint, partial, name, calibration)
        except Exception as error:
            first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise ModelError(f"transformers.exporters cannot make {name}: {first_line}") from error
        remove(target)
        partial.rename(target)


def copy_modules(checkpoint: Path, target: Path) -> None:
    """Copy what says how sentence vectors are made, and of how many tokens, where they are."""
    own = (checkpoint / MODULES, checkpoint / SENTENCE_LIMIT)
    for path in (*own, *checkpoint.glob("*_Pooling/config.json")):
        if path.is_file():
            copy = target / path.relative_to(checkpoint)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)


def _export(checkpoint: Path, target: Path, name: StockName, calibration: Sequence[Inputs]) -> None:
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    task = get_task(read_hf_config(checkpoint).task).SPEC
    opener = getattr(transformers, task.auto_class)
    # A file in half precision would make its graph one, too, and "fp32" a lie.
    model = open_whole(opener, checkpoint, task, dtype=torch.float32)
    # Two texts of different lengths: batch and sequence stay dynamic in the traced graph.
    texts = ["the quick brown fox jumps over the lazy dog", "hello"]
    inputs = dict(tokenizer(texts, padding=True, return_tensors="pt"))
    samples = [{key: torch.from_numpy(v) for key, v in batch.items()} for batch in calibration]
    if task.nested:  # one choice of a question after the other
        inputs = {key: value[:, None] for key, value in inputs.items()}
        samples = [{key: v[:, None] for key, v in batch.items()} for batch in samples]
    exporter, config = _recipe(name, samples)
    exporter.export(model.eval(), inputs, config=config).save_pretrained(target)
    tokenizer.save_pretrained(target)
    copy_modules(checkpoint, target)
    model.config.save_pretrained(target)


def _recipe(name: StockName, samples: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return the exporter and its configuration, as its documentation recommends for a CPU."""
    from transformers.exporters import quantizers
    from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter
    from transformers.exporters.exporter_openvino import OpenVINOConfig, OpenVINOExporter

    if name == "onnx-fp32":
        return OnnxExporter(), OnnxConfig(dynamic=True)
    if name == "onnx-int8":
        quantizer = quantizers.OnnxRuntimeQuantizer(quantizers.OnnxRuntimeDynamicConfig())
        return OnnxExporter(), OnnxConfig(dynamic=True, ort_fusions="cpu", quantizer=quantizer)
    if name == "openvino-fp32":
        return OpenVINOExporter(), OpenVINOConfig(dynamic=True)
    import nncf

    quantizer = quantizers.NNCFOpenVINOQuantizer(
        quantizers.NNCFQuantizationConfig(
            model_type=nncf.ModelType.TRANSFORMER, subset_size=max(1, len(samples))
        ),
        calibration_dataset=samples,
    )
    return OpenVINOExporter(), OpenVINOConfig(dynamic=True, quantizer=quantizer)
