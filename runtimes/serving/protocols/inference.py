"""The Open Inference Protocol, version 2 (KServe, Triton, OpenVINO Model Server), over HTTP.

Texts are tensors of type BYTES, one for each part of an input; tensors may follow the JSON in
bytes, as Triton's clients send them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtimes.pipeline import Predictor
from runtimes.serving.bodies import check_keys, parse_object
from runtimes.serving.protocols.hub_api import dump
from runtimes.serving.protocols.tensors import pack, read_texts, shape_of
from runtimes.serving.request_errors import RequestError
from runtimes.serving.service import Service
from runtimes.tasks.base import TaskSpec
from runtimes.versions import tool_version

__all__ = ["VERSION", "check_name", "infer", "live", "model", "model_ready", "ready", "server"]

VERSION = "1"
"""Of the model: there is one at a time."""

_LENGTH = "Inference-Header-Content-Length"
_KEYS = ("id", "parameters", "inputs", "outputs")
_IN_BYTES = "binary_data_output"
_AS_JSON = "result"  # the only output of a task whose answers make no tensors


async def server(_service: Service, _request: Request) -> Response:
    """Say what this server is."""
    about = {"name": "edgepress", "version": tool_version(), "extensions": ["binary_tensor_data"]}
    return JSONResponse(about)


async def live(_service: Service, _request: Request) -> Response:
    """Say that the process answers."""
    return JSONResponse({"live": True})


async def ready(service: Service, _request: Request) -> Response:
    """Say whether to send requests here."""
    return JSONResponse({"ready": not service.draining}, 503 if service.draining else 200)


async def model(service: Service, request: Request) -> Response:
    """Describe the model's inputs and outputs.

    Raises:
        RequestError: There is no model of that name (404).
    """
    check_name(service, request)
    predictor = service.predictor
    spec = predictor.task.SPEC
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [-1, -1] if _is_list(spec, name) else [-1]}
        for name in spec.asked
    ]
    outputs = [
        {"name": name, "datatype": kind, "shape": [-1, -1] if spec.pooled else [-1]}
        for name, kind in _kinds(spec).items()
    ]
    return JSONResponse(
        {
            "name": service.settings.name,
            "versions": [VERSION],
            "platform": predictor.runtime,
            "inputs": inputs,
            "outputs": outputs,
            "parameters": {"task": spec.name, "optional_inputs": list(_optional(predictor))},
        }
    )


async def model_ready(service: Service, request: Request) -> Response:
    """Say whether the model answers.

    Raises:
        RequestError: There is no model of that name (404).
    """
    check_name(service, request)
    about = {"name": service.settings.name, "ready": not service.draining}
    return JSONResponse(about, 503 if service.draining else 200)


async def infer(service: Service, request: Request) -> Response:
    """Answer tensors of texts with tensors.

    Raises:
        RequestError: The request is not of the protocol, or of another model; see `Service`.
    """
    check_name(service, request)
    given, packed = await _body(service, request)
    check_keys(given, _KEYS, "the body")
    if not isinstance(given.get("id", ""), str):
        raise RequestError(422, "id must be a text")
    predictor = service.predictor
    parameters = given.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise RequestError(422, "parameters must be an object")
    wanted = _wanted(predictor, given.get("outputs"), bool(parameters.get(_IN_BYTES)))
    options = service.options(
        predictor, {key: value for key, value in parameters.items() if key != _IN_BYTES}
    )
    items = _items(predictor, given.get("inputs"), packed)
    parsed = service.parsed(predictor, items)
    head = {"model_name": service.settings.name, "model_version": VERSION}
    if "id" in given:
        head["id"] = given["id"]

    def finish(results: list[Any]) -> Response:
        return _written(head, _tensors(predictor, parsed.shaped(results)), wanted)

    response: Response = await service.answer(predictor, parsed, options, finish)
    return response


def check_name(service: Service, request: Request) -> None:
    """Refuse requests for another model.

    Raises:
        RequestError: The address names one (404).
    """
    name, version = request.path_params["name"], request.path_params.get("version", VERSION)
    if name != service.settings.name:
        raise RequestError(
            404, f"there is no model {name[:60]!r} here but {service.settings.name!r}"
        )
    if version != VERSION:
        raise RequestError(404, f"{name} has no version {version[:20]!r} but {VERSION!r}")


@dataclass(frozen=True)
class _Output:
    name: str
    in_bytes: bool


async def _body(service: Service, request: Request) -> tuple[dict[str, Any], bytes]:
    """Return the JSON and the bytes behind it."""
    body = await service.body(request)
    length = request.headers.get(_LENGTH)
    if length is None:
        return await parse_object(body), b""
    if not length.isdecimal() or int(length[:20]) > len(body):
        raise RequestError(400, f"{_LENGTH} is {length[:20]!r}, and the body has {len(body)} bytes")
    return await parse_object(body[: int(length)]), body[int(length) :]


def _items(predictor: Predictor, tensors: Any, packed: bytes) -> list[Any]:
    """Return inputs of the task, made of one tensor for each of their parts."""
    spec = predictor.task.SPEC
    if not isinstance(tensors, list) or not all(isinstance(each, dict) for each in tensors):
        raise RequestError(422, "inputs must be a list of tensors")
    parts, left = {}, packed
    for tensor in tensors:
        name = tensor.get("name")
        if name not in spec.asked or name in parts:
            raise RequestError(
                422,
                f"input {name!r:.60} is not one of the model's, or is there twice",
                hint=f"a model of {spec.name} takes: {', '.join(spec.asked)}",
            )
        own, left = _own_bytes(tensor, left)
        texts, shape = read_texts(tensor, own)
        width = shape[1] if len(shape) == 2 else 1
        if _is_list(spec, name):
            rows: list[Any] = [texts[at : at + width] for at in range(0, len(texts), width or 1)]
        elif width != 1:
            raise RequestError(
                422, f"input {name!r} must have the shape [N] or [N, 1], not {shape}"
            )
        else:
            rows = list(texts)
        parts[name] = rows
    if left:
        raise RequestError(400, f"{len(left)} bytes behind the JSON belong to no input")
    missing = [n for n in spec.asked if n not in parts and n not in _optional(predictor)]
    if missing:
        raise RequestError(422, f"the request lacks the input {missing[0]!r}")
    if len({len(rows) for rows in parts.values()}) > 1:
        raise RequestError(422, "the inputs must have as many rows as each other")
    ordered = [parts[name] for name in spec.asked if name in parts]
    return ordered[0] if len(ordered) == 1 else list(zip(*ordered, strict=True))


def _own_bytes(tensor: Mapping[str, Any], left: bytes) -> tuple[bytes | None, bytes]:
    """Return the bytes of a tensor and those that follow; None where it is in the JSON."""
    parameters = tensor.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return None, left
    if type(size) is not int or not 0 <= size <= len(left):
        raise RequestError(400, f"binary_data_size is {size!r:.20}, and {len(left)} bytes are left")
    return left[:size], left[size:]


def _wanted(predictor: Predictor, outputs: Any, in_bytes: bool) -> list[_Output]:
    """Return the outputs that a request asks for; all where it names none."""
    kinds = _kinds(predictor.task.SPEC)
    if not outputs:
        return [_Output(name, in_bytes) for name in kinds]
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise RequestError(422, "outputs must be a list of objects")
    found = []
    for each in outputs:
        name, parameters = each.get("name"), each.get("parameters") or {}
        if name not in kinds or not isinstance(parameters, dict):
            raise RequestError(
                422, f"there is no output {name!r:.60}", hint=f"there are: {', '.join(kinds)}"
            )
        check_keys(parameters, ("binary_data",), f"output {name!r}: parameters")
        found.append(_Output(name, bool(parameters.get("binary_data", in_bytes))))
    return found


def _tensors(predictor: Predictor, results: Any) -> dict[str, tuple[str, Any]]:
    """Return results as tensors: type and values by name."""
    kinds = predictor.task.SPEC.answered
    if not kinds:
        return {_AS_JSON: ("BYTES", [dump(each).decode() for each in results])}
    if isinstance(results, np.ndarray):
        return {name: (kind, results) for name, kind in kinds.items()}
    return {name: (kind, [_part(each, name) for each in results]) for name, kind in kinds.items()}


def _part(result: Any, name: str) -> Any:
    return [each[name] for each in result] if isinstance(result, list) else result[name]


def _written(
    head: dict[str, Any], tensors: Mapping[str, tuple[str, Any]], wanted: Sequence[_Output]
) -> Response:
    """Return the answer: JSON, and behind it those tensors that are wanted in bytes."""
    outputs, packed = [], []
    for output in wanted:
        kind, values = tensors[output.name]
        described: dict[str, Any] = {
            "name": output.name,
            "datatype": kind,
            "shape": shape_of(values),
        }
        if output.in_bytes:
            packed.append(pack(kind, values))
            described["parameters"] = {"binary_data_size": len(packed[-1])}
        else:
            described["data"] = values.ravel() if isinstance(values, np.ndarray) else values
        outputs.append(described)
    written = dump({**head, "outputs": outputs})
    if not packed:
        return Response(written, media_type="application/json")
    return Response(
        b"".join([written, *packed]),
        media_type="application/octet-stream",
        headers={_LENGTH: str(len(written))},
    )


def _kinds(spec: TaskSpec) -> Mapping[str, str]:
    return spec.answered or {_AS_JSON: "BYTES"}


def _is_list(spec: TaskSpec, name: str) -> bool:
    """Whether a part of an input is itself a list of texts."""
    return spec.nested and name == spec.asked[-1]


def _optional(predictor: Predictor) -> Sequence[str]:
    """Return the parts that an input may lack; of a model for single texts they have to be."""
    spec = predictor.task.SPEC
    return spec.asked[len(spec.asked) - spec.optional :]
