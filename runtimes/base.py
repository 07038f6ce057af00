"""The seam between artifacts and the libraries that run them.

A runtime is one module in `runtimes/adapters/` that satisfies `Runtime`; it is found by its file
name (`runtimes.registry`) and imports its library lazily, so that a device needs only one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtimes.errors import UsageError

__all__ = [
    "CLOSED",
    "MASKED",
    "Array",
    "DeviceInfo",
    "Runtime",
    "Session",
    "TextInput",
    "known_options",
    "logits_of",
    "plain_device",
]

Array = NDArray[Any]
TextInput = str | tuple[str, str]

MASKED = -30000.0
"""The score, or the logit, of what may not be chosen: padding, and tokens outside of an answer.

Large enough that exp() underflows to exactly zero in every precision, small enough that float16 and
bfloat16 hold it and a row of nothing but padding gives no NaN.
"""


class _Closed:
    """Takes the place of a library's object that was freed: any use of it is an error in words."""

    def __getattr__(self, name: str) -> Any:
        raise UsageError("This model was closed.", hint="Open it again: load(FOLDER)")

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self.called


CLOSED: Any = _Closed()
"""Stands where a session had its model, once the session is closed."""


@dataclass(frozen=True)
class DeviceInfo:
    """A device that a runtime could use.

    Attributes:
        runtime: Name of the runtime (`"onnxruntime"`).
        device: Name to pass as `device=` (`"cpu"`, `"cuda"`, `"gpu"`, `"npu"`).
        available: Whether a session can be opened on it now.
        detail: The device's full name where available, else the reason why it is not.
        hint: The command that would bring it, where there is one.
    """

    runtime: str
    device: str
    available: bool
    detail: str
    hint: str | None = None


class Session(Protocol):
    """A model opened on a device: numpy in, numpy out.

    Attributes:
        runtime: Name of the runtime.
        device: Device that really executes (after any fallback).
        precision: Precision that really executes (`"fp32"`, `"bf16"`, `"fp16"`, `"int8"`).
        input_names: Inputs that the model takes, of
            `input_ids`, `attention_mask`, `token_type_ids`, each int64 (B, T).
    """

    runtime: str
    device: str
    precision: str
    input_names: tuple[str, ...]

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch; returns every output by name (`logits`: float32 (B, C))."""
        ...

    def close(self) -> None:
        """Free the model's memory; the session cannot be used afterwards."""
        ...


class Runtime(Protocol):
    """What a module in `runtimes/adapters/` provides.

    Attributes:
        NAME: The runtime's name; equals the module's file name.
        TITLE: The name in tables (`"ONNX Runtime"`).
        PREFERENCE: Runtimes are tried and listed by this number, the least first.
        FORMATS: Model formats it opens, such as `"onnx"`, `"openvino"`, `"huggingface"`.
        MODEL_FILES: Where the usual exporters put its model in a folder, most specific first; empty
            for a runtime that opens checkpoints only.
        DISTRIBUTIONS: Packages on PyPI whose versions decide its speed and its answers. The first
            is the one to install; those whose names begin with its name are other builds of it,
            of which one can be installed.
        REQUIREMENT: What `pip install` needs to run an artifact of today; empty for a runtime that
            opens checkpoints only.
        READS_CONTENTS: Whether `open_model` takes the bytes of files. One that does not maps them,
            so that the caller makes sure that they stay what they were.
        TUNABLE: Sets of `options` that may be faster than none, on one device or another; the
            first is empty.
    """

    NAME: str
    TITLE: str
    PREFERENCE: int
    FORMATS: Sequence[str]
    MODEL_FILES: Sequence[str]
    DISTRIBUTIONS: Sequence[str]
    REQUIREMENT: str
    READS_CONTENTS: bool
    TUNABLE: Sequence[Mapping[str, Any]]

    def devices(self) -> list[DeviceInfo]:
        """Return every device this runtime knows of, absent ones with the reason. Never raises."""
        ...

    def open_model(
        self,
        path: Path,
        *,
        device: str = "cpu",
        threads: int | None = None,
        precision: str,
        options: Mapping[str, Any] | None = None,
        contents: Mapping[Path, bytes] | None = None,
    ) -> Session:
        """Open the model file (or checkpoint folder) at `path`.

        Args:
            path: `.onnx` file, OpenVINO `.xml`, or Hugging Face checkpoint folder.
            device: One of `devices()`.
            threads: Intra-op threads; None lets the library use all cores, or where this process
                may use a part of the machine only (affinity, quota), as many as that can run.
            precision: What the file holds; the session reports what really executes.
            options: Settings of the runtime's own; one that it does not know is an error.
            contents: The model file and those that it needs, read already, for a runtime with
                `READS_CONTENTS`; None reads them from the disk. What is given is not needed once
                the model is open, and what then becomes of the files does not matter.

        Raises:
            UsageError: An option does not exist.
            MissingDependencyError: The library is not installed.
            DeviceUnavailableError: The device is not there; the message gives the reason.
            ArtifactError: The file cannot be opened.
        """
        ...


def logits_of(outputs: Mapping[str, Array]) -> Array:
    """Return what answers are made of, whatever a model calls it: (B, C) or (B, T, C).

    Args:
        outputs: By name, what a session gave for a batch.
    """
    if "start_logits" in outputs:  # of question answering
        return np.stack([outputs["start_logits"], outputs["end_logits"]], axis=-1)
    for name in ("logits", "sentence_embedding"):
        if name in outputs:
            return outputs[name]
    return next(iter(outputs.values()))  # a stock export may call its only output something else


def plain_device(device: str) -> str:
    """Return a device's name as it is spelt here: PyTorch's `CUDA` and `cuda:0` are `cuda`.

    Raises:
        UsageError: It names another one than the first of its kind.
    """
    name, _, number = device.lower().partition(":")
    if number not in ("", "0"):
        raise UsageError(
            f"device {device!r}: only the first of its kind can be named",
            hint=f"hide the others: CUDA_VISIBLE_DEVICES={number}, and device {name!r}",
        )
    return name


def known_options(runtime: str, given: Mapping[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """Return a runtime's options: those given, and the defaults of the others.

    Raises:
        UsageError: One is given that has no default.
    """
    for name in given or {}:
        if name not in defaults:
            raise UsageError(
                f"{runtime} has no option {name!r}; there are: {', '.join(defaults) or 'none'}."
            )
    return {**defaults, **(given or {})}
