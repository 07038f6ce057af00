"""OpenVINO: `.xml` (and `.onnx`) files on Intel CPUs, GPUs and NPUs, or wherever AUTO puts them."""

import io
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtimes.base import CLOSED, Array, DeviceInfo, Session, known_options
from runtimes.buckets import bucket_of, filled
from runtimes.cores import limited_cores
from runtimes.errors import ArtifactError, DeviceUnavailableError, MissingDependencyError
from runtimes.processor import processor_flags

__all__ = [
    "DISTRIBUTIONS",
    "FORMATS",
    "MODEL_FILES",
    "NAME",
    "PREFERENCE",
    "REQUIREMENT",
    "TITLE",
    "TUNABLE",
    "BucketedSession",
    "OpenVinoSession",
    "devices",
    "import_openvino",
    "open_model",
]

NAME = "openvino"
TITLE = "OpenVINO"
PREFERENCE = 20
FORMATS = ("openvino", "onnx")
MODEL_FILES = (
    "openvino_model.xml",
    "openvino/openvino_model.xml",
    "model.xml",
    "openvino/model.xml",
)
DISTRIBUTIONS = ("openvino",)
REQUIREMENT = "openvino"
READS_CONTENTS = True
TUNABLE: tuple[Mapping[str, Any], ...] = ({}, {"pinning": False}, {"buckets": True})

_DEVICES = {
    "cpu": ("CPU", "OpenVINO finds no CPU plugin"),
    "gpu": ("GPU", "OpenVINO finds no Intel GPU, or no OpenCL / Level Zero driver for it"),
    "npu": ("NPU", "OpenVINO finds no Intel NPU, or no driver for it"),
    "auto": ("AUTO", "OpenVINO has no plugin that chooses a device"),
}
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
_MOVING = {"Transpose", "Reshape", "Unsqueeze", "Squeeze"}  # what changes no value
# Operations that carry an encoder's cost: what these compute in is what the model computes in.
_HEAVY = {"FullyConnected", "MatMul", "Convolution", "fullyconnected", "gemm"}


class OpenVinoSession:
    """A compiled OpenVINO model; satisfies `runtimes.base.Session`.

    Calls from several threads are made one after the other: an infer request serves one at a time.
    """

    runtime = NAME

    def __init__(self, compiled: Any, outputs: Sequence[str], device: str, precision: str) -> None:
        self.device = device
        self.precision = precision
        self.input_names = tuple(port.any_name for port in compiled.inputs)
        self._types = [port.element_type.to_dtype() for port in compiled.inputs]
        self._outputs = tuple(outputs)
        # Stock exports of multiple choice take all choices of a question at once: (B, K, T).
        self._nested = len(compiled.inputs[0].get_partial_shape()) == 3
        self._tensor = import_openvino().Tensor
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays; returns every output by name."""
        with self._lock:
            request = self._request
            # Set by position and without copying: the library's own dispatch of a dict costs
            # several times as much.
            arrays = []  # the library keeps addresses, not arrays: these live until it is done
            for index, name in enumerate(self.input_names):
                array = np.ascontiguousarray(inputs[name], dtype=self._types[index])
                if self._nested:
                    array = array[:, None]
                arrays.append(array)
                request.set_input_tensor(index, self._tensor(array, shared_memory=True))
            request.infer(share_outputs=True)
            # Copied, because the next call writes to the same memory.
            return {
                name: request.get_output_tensor(index).data.copy()
                for index, name in enumerate(self._outputs)
            }

    def close(self) -> None:
        """Free the model's memory."""
        self._request = CLOSED


class BucketedSession:
    """One compiled model for each of a few lengths; satisfies `runtimes.base.Session`.

    A length is compiled when it is first met. The rows of a batch are run one by one.

    Args:
        compiled: Gives the session for one row of so many tokens.
    """

    runtime = NAME

    def __init__(self, compiled: Callable[[int], OpenVinoSession]) -> None:
        self._compiled = compiled
        self._sessions: dict[int, OpenVinoSession] = {}
        self._lock = threading.Lock()
        first = self._session(bucket_of(1))
        self.device, self.precision = first.device, first.precision
        self.input_names = first.input_names

    def run(self, inputs: Mapping[str, NDArray[np.int64]]) -> dict[str, Array]:
        """Run one batch of int64 (B, T) arrays; returns every output by name."""
        rows, length = inputs["input_ids"].shape
        masked = "attention_mask" in self.input_names
        bucket = bucket_of(length) if masked else length
        try:
            session = self._session(bucket)
        except ArtifactError:  # longer than the model has positions for
            bucket, session = length, self._session(length)
        inputs = filled({name: inputs[name] for name in self.input_names}, bucket)
        outputs = [
            session.run({name: array[row : row + 1] for name, array in inputs.items()})
            for row in range(rows)
        ]
        answers = {name: np.concatenate([o[name] for o in outputs]) for name in outputs[0]}
        # What was filled up answers too, where every token does.
        return {name: a[:, :length] if a.ndim == 3 else a for name, a in answers.items()}

    def close(self) -> None:
        """Free the models' memory."""
        for session in self._sessions.values():
            session.close()

    def _session(self, length: int) -> OpenVinoSession:
        with self._lock:
            if length not in self._sessions:
                self._sessions[length] = self._compiled(length)
            return self._sessions[length]


def devices() -> list[DeviceInfo]:
    """Return CPU, GPU and NPU, absent ones with the reason."""
    try:
        core = import_openvino().Core()
    except MissingDependencyError as error:
        return [DeviceInfo(NAME, "cpu", False, error.message, error.hint)]
    present = _present(core)
    return [
        DeviceInfo(NAME, device, True, str(core.get_property(present[name], "FULL_DEVICE_NAME")))
        if name in present
        else DeviceInfo(NAME, device, False, reason)
        for device, (name, reason) in _DEVICES.items()
    ]


def open_model(
    path: Path,
    *,
    device: str = "cpu",
    threads: int | None = None,
    precision: str,
    options: Mapping[str, Any] | None = None,
    contents: Mapping[Path, bytes] | None = None,
) -> Session:
    """Open an OpenVINO `.xml` (or an `.onnx`) file; see `runtimes.base.Runtime.open_model`.

    Args:
        path: The model file.
        device: `"cpu"`, `"gpu"`, `"npu"`, or `"auto"` for the library's choice among them.
        threads: Inference threads (CPU only); None lets the library use all cores.
        precision: `"fp32"`, `"bf16"` or `"fp16"` makes a float model compute in it (left alone,
            OpenVINO takes bf16 where the CPU has AMX, whatever the file holds); `"int8"` and
            `"auto"` leave the choice to the library. An INT8 file computes in fp32 between its
            integer products on a CPU, whatever is declared. The session reports what it came to.
        options: `pinning`: whether each thread stays on a core of its own (CPU only). `buckets`:
            whether models of a few fixed lengths are compiled instead of one for all; None for
            where the device needs it (NPU). `workarounds`: False leaves out what makes the CPU
            plugin answer rightly: a file then opens as it does for who uses the library alone.
        contents: As in `runtimes.base.Runtime.open_model`: an `.xml` with the `.bin` beside it, or
            an `.onnx` that holds its weights itself.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        DeviceUnavailableError: The device is not there.
        ArtifactError: The file cannot be opened.
    """
    wanted = known_options(NAME, options, pinning=None, buckets=None, workarounds=True)
    openvino = import_openvino()
    core = openvino.Core()
    name, reason = _DEVICES.get(
        device, (None, f"there is no such device; it knows {', '.join(_DEVICES)}")
    )
    if name not in _present(core):
        raise DeviceUnavailableError(f"OpenVINO cannot use the device {device!r}: {reason}.")
    config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "cpu" and (count := threads or limited_cores()):
        config["INFERENCE_NUM_THREADS"] = count
    if wanted["pinning"] is not None and device == "cpu":
        config["ENABLE_CPU_PINNING"] = wanted["pinning"]
    if precision in _HINTS:
        config["INFERENCE_PRECISION_HINT"] = _HINTS[precision]

    try:
        whole = core.read_model(str(path)) if contents is None else _in_memory(core, path, contents)
    except Exception as error:
        there = path.exists() if contents is None else path in contents
        problem = str(error).strip() if there else "there is no such file"
        raise ArtifactError(f"OpenVINO cannot open {path}: {problem}") from error

    mended = wanted["workarounds"] and device in ("cpu", "auto")
    if mended and "amx_int8" in processor_flags():
        _convolve_in_float(whole)

    def compiled(length: int | None) -> OpenVinoSession:
        """Return the model for any shape, or for one row of `length` tokens."""
        try:
            model = whole if length is None else whole.clone()
            if length is not None:
                model.reshape({port.any_name: [1, length] for port in model.inputs})
            # As in the file: compiling gives an output the names of what it merges into it, too.
            outputs = [
                port.any_name if port.names else f"output_{index}"
                for index, port in enumerate(model.outputs)
            ]
            exact = _exact(model, device) if mended else {}
            result = core.compile_model(model, name, {**config, **exact})
        except Exception as error:
            raise ArtifactError(f"OpenVINO cannot open {path}: {str(error).strip()}") from error
        return OpenVinoSession(
            result,
            outputs,
            _executing(result, device, path),
            _executed_precision(result, precision),
        )

    buckets = device == "npu" if wanted["buckets"] is None else wanted["buckets"]
    return BucketedSession(compiled) if buckets else compiled(None)


def _in_memory(core: Any, path: Path, contents: Mapping[Path, bytes]) -> Any:
    """Return the model at `path`; its weights are in memory of the library's own."""
    if path.suffix != ".xml":
        return core.read_model(io.BytesIO(contents[path]))
    weights = np.frombuffer(contents[path.with_suffix(".bin")], dtype=np.uint8)
    tensor = import_openvino().Tensor(np.dtype(np.uint8), [weights.size])
    tensor.data[:] = weights
    return core.read_model(contents[path].decode(), tensor)


def import_openvino() -> ModuleType:
    """Return the `openvino` module.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError(
            f"The package openvino cannot be imported: {error}.",
            hint="Install the extra [openvino]: pip install openvino",
        ) from error
    library: ModuleType = openvino
    return library


def _exact(model: Any, device: str) -> dict[str, Any]:
    """Return settings with which the CPU plugin answers an INT8 model rightly at every length.

    On CPUs with AMX, OpenVINO 2026.4 computes what lies between integer products in bf16, and its
    compiled attention then gives wrong answers at single lengths, which ones depending on the
    model's sizes. In fp32 it is right at all of them, and no slower.
    """
    if not any(
        operation.get_type_name() == "FakeQuantize"
        or (
            operation.get_type_name() == "Constant"
            and operation.get_element_type().get_type_name() in ("i8", "u8", "i4", "u4")
        )
        for operation in model.get_ordered_ops()
    ):
        return {}
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return hint if device == "cpu" else {"DEVICE_PROPERTIES": {"CPU": hint}}


def _convolve_in_float(model: Any) -> None:
    """Take the quantization off what convolutions read.

    On CPUs with AMX, OpenVINO 2026.4 computes an INT8 convolution over 4 tokens and fewer from
    memory that it has not written, where it answered a longer text before: DeBERTa's, in the stock
    export, gives answers that have nothing to do with the text.
    """
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "Convolution":
            continue
        read = operation.input(0)
        while (source := read.get_source_output().get_node()).get_type_name() in _MOVING:
            read = source.input(0)
        if source.get_type_name() == "FakeQuantize":
            read.replace_source_output(source.input_value(0))


def _present(core: Any) -> dict[str, str]:
    """Return the name of the first device of each kind."""
    found = {name.split(".")[0]: name for name in reversed(core.available_devices)}
    return {**found, "AUTO": "AUTO"}  # which is no device, and not listed as one


def _executing(compiled: Any, wanted: str, path: Path) -> str:
    """Return the device that the model runs on; a warning where it is not the one asked for."""
    # AUTO puts the CPU in brackets while another device is still compiling.
    found = [
        device.strip("()").split(".")[0].lower()
        for device in compiled.get_property("EXECUTION_DEVICES")
    ]
    if wanted in found:
        return wanted
    if wanted == "auto":
        return found[0]
    warnings.warn(
        f"OpenVINO runs {path.name} on {', '.join(found)} instead of {wanted}.",
        RuntimeWarning,
        stacklevel=4,
    )
    return found[0]


def _executed_precision(compiled: Any, declared: str) -> str:
    """Return the precision of the heavy operations, by the compiled graph rather than the file."""
    try:
        operations = compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError:  # not every plugin shows its graph
        return "fp32" if declared == "auto" else declared
    for operation in operations:
        info = operation.get_rt_info()
        kind = info["layerType"].astype(str) if "layerType" in info else ""
        # Float operations name the type of their weights here, which says nothing of the
        # arithmetic (fp16 weights are widened on a CPU); only integers are telling.
        if kind in _HEAVY and info["runtimePrecision"].astype(str) in ("i8", "u8"):
            return "int8"
    try:
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except RuntimeError:  # AUTO leaves it to the device
        return "fp32" if declared == "auto" else declared
    return _PRECISIONS.get(hint, "fp32")
