"""ONNX Runtime: `.onnx` files on the CPU, CUDA and the library's other execution providers."""

import mmap
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtimes.base import CLOSED, Array, DeviceInfo, Session, known_options
from runtimes.cores import limited_cores
from runtimes.errors import (
    ArtifactError,
    DeviceUnavailableError,
    MissingDependencyError,
    OutdatedRuntimeError,
)
from runtimes.versions import at_least, installed_version

__all__ = [
    "DISTRIBUTIONS",
    "FORMATS",
    "MODEL_FILES",
    "NAME",
    "PREFERENCE",
    "REQUIREMENT",
    "TITLE",
    "TUNABLE",
    "OnnxRuntimeSession",
    "devices",
    "import_onnxruntime",
    "open_model",
]

NAME = "onnxruntime"
TITLE = "ONNX Runtime"
PREFERENCE = 10
FORMATS = ("onnx",)
MODEL_FILES = ("model.onnx", "onnx/model.onnx")
REQUIREMENT = "onnxruntime>=1.25"
# Given the bytes, the library keeps copies: 55 MB more for an artifact of 16 MB.
READS_CONTENTS = False
TUNABLE: tuple[Mapping[str, Any], ...] = ({}, {"spinning": False}, {"arena": False})

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
# Builds of the library that carry a provider; two of them overwrite each other's files.
_PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "directml": "onnxruntime-directml",
    "qnn": "onnxruntime-qnn",
    "openvino": "onnxruntime-openvino",
}
DISTRIBUTIONS = ("onnxruntime", *dict.fromkeys(_PACKAGES.values()))


_INTEGER_OPERATORS = (
    b"MatMulInteger",
    b"DynamicQuantizeMatMul",
    b"QLinearMatMul",
    b"QAttention",
    b"DequantizeLinear",
)

# Parts of the names of operators that multiply matrices.
_PRODUCTS = ("MatMul", "Gemm", "Attention")

# The first that knows the operators of our graphs (export.dialects).
_OLDEST = "1.25"


class OnnxRuntimeSession:
    """An ONNX model in ONNX Runtime; satisfies `runtimes.base.Session`."""

    runtime = NAME

    def __init__(self, session: object, device: str, precision: str) -> None:
        self.device = device
        self.precision = precision
        self._session = session
        self._run = session.run  # type: ignore[attr-defined]
        self.input_names = tuple(i.name for i in session.get_inputs())  # type: ignore[attr-defined]
        # Stock exports of multiple choice take all choices of a question at once: (B, K, T).
        self._nested = len(session.get_inputs()[0].shape) == 3  # type: ignore[attr-defined]
        self._outputs = [o.name for o in session.get_outputs()]  # type: ignore[attr-defined]

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays; returns every output by name."""
        if len(inputs) != len(self.input_names):  # the library refuses names it does not know
            inputs = {name: inputs[name] for name in self.input_names}
        if self._nested:
            inputs = {name: array[:, None] for name, array in inputs.items()}
        return dict(zip(self._outputs, self._run(self._outputs, inputs), strict=True))

    def close(self) -> None:
        """Free the model's memory."""
        self._session = self._run = CLOSED


def devices() -> list[DeviceInfo]:
    """Return every execution provider that runs encoders, absent ones with the reason."""
    try:
        available = import_onnxruntime().get_available_providers()
    except MissingDependencyError as error:
        return [DeviceInfo(NAME, "cpu", False, error.message, error.hint)]
    return [
        DeviceInfo(NAME, device, True, provider)
        if provider in available
        else DeviceInfo(NAME, device, False, *_absent(device))
        for device, provider in _PROVIDERS.items()
    ]


def open_model(
    path: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    precision: str,
    options: Mapping[str, Any] | None = None,
    contents: Mapping[Path, bytes] | None = None,  # noqa: ARG001 - files are opened by name
) -> Session:
    """Open an `.onnx` file; see `runtimes.base.Runtime.open_model`.

    A provider that is present but does not start (a driver that does not fit, say) lets the library
    fall back to the CPU; that is warned of, and the session's `device` says so.

    `precision` `"auto"` looks into the file.

    Options: `spinning` (whether threads wait for the next call at full speed), `arena` (whether
    memory is kept for the next call).
    """
    wanted = known_options(NAME, options, spinning=True, arena=True)
    library = import_onnxruntime()
    provider = _PROVIDERS.get(device)
    if provider is None or provider not in library.get_available_providers():
        reason, hint = _absent(device)
        raise DeviceUnavailableError(
            f"ONNX Runtime cannot use the device {device!r}: {reason}.", hint=hint
        )
    settings = library.SessionOptions()
    settings.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.inter_op_num_threads = 1
    # 0: one a physical core of the machine, each kept on its own
    settings.intra_op_num_threads = threads or limited_cores() or 0
    settings.log_severity_level = 3  # what matters of the warnings is raised or warned of here
    settings.enable_cpu_mem_arena = wanted["arena"]
    spinning = "1" if wanted["spinning"] else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    providers = [provider] if device == "cpu" else [provider, _PROVIDERS["cpu"]]
    if device != "cpu":
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = library.InferenceSession(str(path), settings, providers=providers)
    except Exception as error:
        reason = "there is no such file" if not path.exists() else str(error).strip()
        if path.exists() and not at_least(str(library.__version__), _OLDEST):
            raise OutdatedRuntimeError(
                f"ONNX Runtime {library.__version__} cannot open {path}, and is older than "
                f"{_OLDEST}, which models of this tool need: {reason}",
                hint=f'Update it: pip install --upgrade "onnxruntime>={_OLDEST}"',
            ) from error
        raise ArtifactError(f"ONNX Runtime cannot open {path}: {reason}") from error
    actual = device
    if provider not in session.get_providers():
        actual = "cpu"
        warnings.warn(
            f"ONNX Runtime could not start {provider} and runs {path.name} on the CPU instead.",
            RuntimeWarning,
            stacklevel=2,
        )
    elif device != "cpu" and _mostly_elsewhere(session, provider):
        actual = "cpu"
        warnings.warn(
            f"{provider} has no kernels for most matrix products of {path.name}: the CPU runs "
            "them, with copies in between.",
            RuntimeWarning,
            stacklevel=2,
        )
    return OnnxRuntimeSession(session, actual, _held(path) if precision == "auto" else precision)


def _mostly_elsewhere(session: Any, provider: str) -> bool:
    """Return whether a provider that started was given less than half of the products.

    The library puts what a provider has no kernel for (CUDA: most of INT8) on the CPU, unsaid.
    """
    places = [
        part.ep_name
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
        if any(word in node.op_type for word in _PRODUCTS)
    ]
    return 2 * places.count(provider) < len(places)


def _held(path: Path) -> str:
    """Return the precision of a file that nobody vouches for, by its operators' names."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return "int8" if any(data.find(name) >= 0 for name in _INTEGER_OPERATORS) else "fp32"


def import_onnxruntime() -> ModuleType:
    """Return the `onnxruntime` module.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"The package onnxruntime cannot be imported: {error}.",
            hint="Install the extra [onnxruntime]: pip install onnxruntime",
        ) from error
    library: ModuleType = onnxruntime
    return library


def _absent(device: str) -> tuple[str, str | None]:
    """Return why the installed build lacks a device, and the command that would bring it."""
    if device not in _PROVIDERS:
        return f"there is no such device; it knows {', '.join(_PROVIDERS)}", None
    reason = f"this build of onnxruntime has no {_PROVIDERS[device]}"
    package = _PACKAGES.get(device)
    if package is None:
        return reason, None
    if installed_version(package) is None:
        return reason, f"pip uninstall onnxruntime && pip install {package}"
    return (
        f"{reason}, although {package} is installed: onnxruntime and {package} overwrite each"
        " other",
        f"pip uninstall onnxruntime {package} && pip install {package}",
    )
