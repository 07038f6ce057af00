"""Exporting sends nothing either: converters and quantizers of three makers take part."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
from pathlib import Path
from export.stock import export_stock
from runtimes import open_checkpoint

model, out = Path({model!r}), Path({out!r})
with open_checkpoint(model) as reference:
    batch = reference.tokenizer.encode(["a good film"], reference.session.input_names)
for name in ("onnx-int8", "openvino-int8"):
    export_stock(model, out / name, name, [batch])
"""


@pytest.mark.slow
def test_stock_exports_send_nothing(task: Any, watch: Callable[..., Any], tmp_path: Path) -> None:
    done = watch("-c", PROGRAM.format(model=str(task.model), out=str(tmp_path / "out")))
    assert (done.calls, done.home) == ([], [])
