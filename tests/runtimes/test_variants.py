"""Two files of one model: which one answers, and that the other is opened only when needed."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from runtimes.variants import TwoVariants

NAMES = ("input_ids", "attention_mask")


class Recorder:
    """A session that notes what it is asked."""

    def __init__(self, name: str) -> None:
        self.runtime, self.device, self.precision = "onnxruntime", "cpu", "int8"
        self.input_names = ("input_ids",)
        self.name = name
        self.calls: list[list[str]] = []
        self.closed = False

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(sorted(inputs))
        return {"logits": np.full((len(inputs["input_ids"]), 2), len(self.name), np.float32)}

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def variants() -> tuple[TwoVariants, Recorder, list[Recorder]]:
    lean, opened = Recorder("lean"), list[Recorder]()

    def open_padded() -> Recorder:
        opened.append(Recorder("padded"))
        return opened[-1]

    return TwoVariants(lean, open_padded, NAMES), lean, opened


def inputs(*lengths: int) -> dict[str, Any]:
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    return {"input_ids": mask, "attention_mask": mask}


def test_a_single_text_needs_no_mask(variants: Any) -> None:
    session, lean, opened = variants
    assert session.unpadded_names == lean.input_names
    session.run({"input_ids": np.ones((1, 4), np.int64)})
    assert (len(lean.calls), opened) == (1, [])


def test_only_padding_opens_the_padded_file(variants: Any) -> None:
    session, lean, opened = variants
    session.run(inputs(5))
    session.run(inputs(3, 3))
    assert (len(lean.calls), opened) == (2, [])
    assert session.run(inputs(3, 5))["logits"].shape == (2, 2)
    session.run(inputs(5, 1))
    assert len(opened) == 1
    assert len(opened[0].calls) == 2
    assert len(lean.calls) == 2


def test_it_is_described_by_the_file_that_takes_everything(variants: Any) -> None:
    session, _, _ = variants
    assert session.input_names == NAMES
    assert (session.runtime, session.device, session.precision) == ("onnxruntime", "cpu", "int8")


def test_threads_open_the_padded_file_once(variants: Any) -> None:
    session, _, opened = variants
    threads = [threading.Thread(target=session.run, args=(inputs(3, 5),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(one.calls) for one in opened] == [8]


@pytest.mark.parametrize("padding_met", [False, True])
def test_both_are_closed(variants: Any, padding_met: bool) -> None:
    session, lean, opened = variants
    if padding_met:
        session.run(inputs(3, 5))
    session.close()
    assert lean.closed
    assert all(one.closed for one in opened)
