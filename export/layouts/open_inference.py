"""Repositories of Triton Inference Server and OpenVINO Model Server, which speak KServe's protocol.

They answer tensors with tensors: who asks has the tokenizer, which is put beside them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from export.layouts.base import Order, Wheels
from runtimes.errors import ModelError

__all__ = ["DESCRIPTION", "NAME", "RUNTIMES", "WHEELS", "write"]

NAME = "open-inference"
DESCRIPTION = "model repositories of Triton (ONNX) and OpenVINO Model Server"
RUNTIMES = ("onnxruntime", "openvino")
WHEELS: Wheels = "never"

_BATCH = 64
# As the servers call the types of tensors.
_TYPES = {"INT64": "TYPE_INT64", "INT32": "TYPE_INT32", "FLOAT": "TYPE_FP32"}
# Left alone, OpenVINO computes in bf16 where a processor has AMX, and answers otherwise.
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def write(order: Order, folder: Path) -> str:
    """Write it; see `export.layouts.base`."""
    from export.deployment.templates import write_template
    from runtimes.artifact import removed_files

    gone = removed_files(order.artifact, order.manifest)
    there = {model.runtime for model in order.manifest.models} - gone.keys()
    wanted = [r for r in RUNTIMES if r in there and order.runtime in (None, r)]
    if not wanted:
        order.runtime_of(*RUNTIMES)  # says what there is
    first = None
    if "onnxruntime" in wanted:
        _write_triton(order, folder / "triton" / order.name)
        first = "tritonserver --model-repository triton"
    if "openvino" in wanted:
        _write_ovms(order, folder / "ovms")
        first = first or "ovms --config_path ovms/config.json --rest_port 8000"
    shutil.copyfile(order.artifact / "tokenizer.json", folder / "tokenizer.json")
    write_template(
        "open-inference.md",
        folder / "README.md",
        name=order.name,
        wanted=wanted,
        max_length=order.manifest.max_length,
        labels=order.manifest.labels,
    )
    assert first is not None
    return first


def _write_triton(order: Order, folder: Path) -> None:
    from export.deployment.contents import embedded
    from export.deployment.templates import write_template

    version = folder / "1"
    version.mkdir(parents=True)
    shutil.copyfile(order.artifact / embedded(order).path, version / "model.onnx")
    inputs, outputs = _tensors(version / "model.onnx")
    write_template(
        "config.pbtxt",
        folder / "config.pbtxt",
        name=order.name,
        batch=_BATCH,
        inputs=inputs,
        outputs=outputs,
    )


def _tensors(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return inputs and outputs of an ONNX file: name, type, and sizes behind the batch's."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph

    def described(values: Any) -> list[dict[str, Any]]:
        found = []
        for value in values:
            tensor = value.type.tensor_type
            sizes = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
            kind = _TYPES[onnx.TensorProto.DataType.Name(tensor.elem_type)]
            found.append({"name": value.name, "type": kind, "sizes": sizes[1:]})
        return found

    return described(graph.input), described(graph.output)


def _write_ovms(order: Order, folder: Path) -> None:
    [entry, *_] = [m for m in order.manifest.models if m.runtime == "openvino"]
    version = folder / order.name / "1"
    version.mkdir(parents=True)
    source = order.artifact / entry.path
    weights = source.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{source} has no weights beside it")
    shutil.copyfile(source, version / "model.xml")
    shutil.copyfile(weights, version / "model.bin")
    model = {"name": order.name, "base_path": order.name, "plugin_config": _EXACT}
    configuration = {"model_config_list": [{"config": model}]}
    (folder / "config.json").write_text(f"{json.dumps(configuration, indent=2)}\n", "utf-8")
