"""Which runtimes are judged, by the latency of the largest and the smallest model."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.disturbance import Taken
from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.errors import DeviceUnavailableError, UsageError
from compress.evaluation.screening import competing_runtimes, contenders
from compress.system.progress import SilentProgress

LARGE, SMALL = Path("large"), Path("small")
NAMES = ["onnxruntime", "openvino"]
EXAMPLES = Examples(
    tuple(f"text {'word ' * number}" for number in range(40)),
    ClassLabels(np.zeros(40, np.int64)),
    ("a", "b"),
)
BUSY = Taken(others_s=1.0, stolen_s=0.0, cores_s=2.0, allowed_s=0.25)


def looked_at(ms: dict[tuple[Path, str], float]) -> tuple[list[str], tuple[str, ...]]:
    return contenders(
        [LARGE, SMALL],
        NAMES,
        EXAMPLES,
        threads=None,
        seed=0,
        progress=SilentProgress(),
        time_texts=lambda folder, name, *_: ms[folder, name],
    )


def timings(large: tuple[float, float], small: tuple[float, float]):
    return {
        (folder, name): ms
        for folder, both in ((LARGE, large), (SMALL, small))
        for name, ms in zip(NAMES, both, strict=True)
    }


def test_a_runtime_that_is_far_slower_with_all_models_is_left_out_with_the_figures():
    names, reasons = looked_at(timings((3.6, 6.0), (0.9, 2.3)))

    assert names == ["onnxruntime"]
    assert len(reasons) == 1
    assert all(
        part in reasons[0]
        for part in (
            "OpenVINO was 1.7 to 2.6 times slower than ONNX Runtime here",
            "6.00 and 2.30 ms against 3.60 and 0.90",
            "so it was not considered. Its files are in the artifact all the same.",
        )
    )


@pytest.mark.parametrize(
    "ms",
    [
        timings((3.6, 6.0), (0.9, 1.1)),  # near with the small one
        timings((3.6, 3.0), (0.9, 2.3)),  # ahead with the large one
        timings((3.6, math.inf), (0.9, math.inf)),  # fails: the benchmark says why
    ],
)
def test_a_runtime_that_may_win_or_cannot_be_timed_stays(ms):
    assert looked_at(ms) == (NAMES, ())


def test_nothing_is_timed_where_there_is_no_choice():
    names, reasons = contenders(
        [LARGE], ["openvino"], EXAMPLES, threads=None, seed=0, progress=SilentProgress()
    )

    assert (names, reasons) == (["openvino"], ())


def test_runtimes_that_are_named_compete_and_no_others() -> None:
    assert competing_runtimes() == NAMES
    assert competing_runtimes(["openvino"]) == ["openvino"]
    with pytest.raises(UsageError, match="'pytorch' does not run artifacts"):
        competing_runtimes(["pytorch"])


def test_a_named_runtime_that_is_absent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert competing_runtimes() == ["onnxruntime"]
    with pytest.raises(DeviceUnavailableError, match="openvino"):
        competing_runtimes(["openvino"])


def test_on_a_busy_machine_no_runtime_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.disturbance.Watch._taken", lambda watch: BUSY)
    names, reasons = looked_at(timings((3.6, 6.0), (0.9, 2.3)))
    assert names == NAMES
    assert reasons == (
        "Other processes used 50% of the cores while runtimes were compared, so all were "
        "considered.",
    )
