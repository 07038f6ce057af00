"""The files that transformers.js loads, in a page or in Node, by the names that it looks for."""

import json
from pathlib import Path
from typing import Any

from export.layouts.base import Order, Wheels
from runtimes.errors import ModelError
from runtimes.escaping import dump_json

__all__ = ["DESCRIPTION", "NAME", "RUNTIMES", "WHEELS", "write"]

NAME = "transformers.js"
DESCRIPTION = "model, tokenizer and configuration by the names that transformers.js looks for"
RUNTIMES = ("onnxruntime",)
WHEELS: Wheels = "never"

# What the library calls files of a type (`dtype`), by our precision.
_FILES = {"int8": ("model_quantized.onnx", "q8"), "fp16": ("model_fp16.onnx", "fp16")}
_FLOAT = ("model.onnx", "fp32")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_PIPELINES = {
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "sentence-embedding": "feature-extraction",
    "fill-mask": "fill-mask",
}


def write(order: Order, folder: Path) -> str:
    """Write it; see `export.layouts.base`."""
    from export.deployment.contents import embedded
    from export.deployment.templates import write_template
    from runtimes.json_files import read_json

    task = order.manifest.task
    if task not in _PIPELINES:
        raise ModelError(f"transformers.js has no pipeline for {task}")
    entry = embedded(order)
    name, dtype = _FILES.get(entry.precision, _FLOAT)
    (folder / "onnx").mkdir()
    (folder / "onnx" / name).write_bytes((order.artifact / entry.path).read_bytes())
    for each in _TOKENIZER:
        (folder / each).write_bytes((order.artifact / each).read_bytes())
    config = read_json(order.artifact / "config.json")
    # Otherwise it takes q8 in pages and fp32 in Node.
    config["transformers.js_config"] = {"dtype": dtype}
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "config.json").write_text(f"{text}\n", encoding="utf-8")
    write_template(
        "transformers-js.md",
        folder / "README.md",
        name=order.name,
        file=name,
        dtype=dtype,
        pipeline=_PIPELINES[task],
        call=_call(order),
    )
    return "npm install @huggingface/transformers    # then as README.md says"


def _call(order: Order) -> str:
    """Return what asks the model, in JavaScript."""
    from export.examples import example
    from runtimes.pooling import read_pooling

    asked: Any = example(order.artifact)
    if order.manifest.task == "question-answering":
        return f"await ask({', '.join(map(dump_json, asked))})"
    if isinstance(asked, tuple):
        first, second = map(dump_json, asked)
        return f"await ask({first}, {{ text_pair: {second} }})"
    pooling = read_pooling(order.artifact)
    if pooling is not None:
        settings = f'{{ pooling: "{pooling.mode}", normalize: {dump_json(pooling.normalized)} }}'
        return f"await ask({dump_json(asked)}, {settings})"
    return f"await ask({dump_json(asked)})"
