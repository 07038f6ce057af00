"""Which runtimes are judged, by the latency of the largest and the smallest model."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.evaluation import screening as module
from compress.evaluation.screening import contenders
from compress.system.progress import SilentProgress

LARGE, SMALL = Path("large"), Path("small")
NAMES = ["onnxruntime", "openvino"]
EXAMPLES = Examples(
    tuple(f"text {'word ' * number}" for number in range(40)),
    ClassLabels(np.zeros(40, np.int64)),
    ("a", "b"),
)


def looked_at(monkeypatch: pytest.MonkeyPatch, ms: dict[tuple[Path, str], float]):
    monkeypatch.setattr(module, "_turn", lambda folder, name, *_: ms[folder, name])
    return contenders(
        [LARGE, SMALL], NAMES, EXAMPLES, threads=None, seed=0, progress=SilentProgress()
    )


def timings(large: tuple[float, float], small: tuple[float, float]):
    return {
        (folder, name): ms
        for folder, both in ((LARGE, large), (SMALL, small))
        for name, ms in zip(NAMES, both, strict=True)
    }


def test_a_runtime_that_is_far_slower_with_all_models_is_left_out_with_the_figures(monkeypatch):
    names, reasons = looked_at(monkeypatch, timings((3.6, 6.0), (0.9, 2.3)))

    assert names == ["onnxruntime"]
    assert len(reasons) == 1
    assert all(part in reasons[0] for part in ("openvino", "6.00 and 2.30", "3.60 and 0.90"))


@pytest.mark.parametrize(
    "ms",
    [
        timings((3.6, 6.0), (0.9, 1.1)),  # near with the small one
        timings((3.6, 3.0), (0.9, 2.3)),  # ahead with the large one
        timings((3.6, math.inf), (0.9, math.inf)),  # fails: the benchmark says why
    ],
)
def test_a_runtime_that_may_win_or_cannot_be_timed_stays(monkeypatch, ms):
    assert looked_at(monkeypatch, ms) == (NAMES, ())


def test_nothing_is_timed_where_there_is_no_choice():
    names, reasons = contenders(
        [LARGE], ["openvino"], EXAMPLES, threads=None, seed=0, progress=SilentProgress()
    )

    assert (names, reasons) == (["openvino"], ())
