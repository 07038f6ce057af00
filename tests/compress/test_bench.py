"""Which rows a benchmark has: every model in every precision, where its runtime has the device."""

from pathlib import Path

import pytest

from benchmarks.subjects import Subject
from compress.bench import _in_precisions, _on_devices
from compress.errors import UsageError

CHECKPOINT = Subject("a", "a", "checkpoint", Path("a"), "pytorch")
EXPORT = Subject("b", "b", "export", Path("b"), "openvino")


def test_precisions_are_of_checkpoints() -> None:
    rows = [
        row for s in (CHECKPOINT, EXPORT) for row in _in_precisions(s, ["fp32", "int8", "fp32"])
    ]
    assert [row.precision for row in rows] == ["fp32", "int8", None]
    assert len({row.id for row in rows}) == 3


def test_a_model_runs_where_its_runtime_knows_the_device() -> None:
    rows = _on_devices([CHECKPOINT, EXPORT], ["cpu", "cuda", "npu"])
    assert [(row.runtime, row.device, dict(row.options)) for row in rows] == [
        ("pytorch", "cpu", {}),
        ("openvino", "cpu", {}),
        ("pytorch", "cuda", {}),
        ("pytorch", "cuda", {"graphs": True}),
        ("openvino", "npu", {}),
    ]
    assert len({row.id for row in rows}) == 5
    with pytest.raises(UsageError, match=r"abacus.*cpu, cuda"):
        _on_devices([CHECKPOINT], ["abacus"])
