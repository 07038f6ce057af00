"""`POST /predict`, in the form of the Hugging Face inference API."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from runtimes.pipeline import Predictor
from runtimes.serving.bodies import check_keys
from runtimes.serving.request_errors import RequestError
from runtimes.serving.service import Service
from runtimes.tasks.base import Parsed

__all__ = ["dump", "predict", "similarities"]

# `options` are the hub's own service's, about its caches: they are taken, and mean nothing here.
_KEYS = ("inputs", "parameters", "options")


async def predict(service: Service, request: Request) -> Response:
    """Answer `{"inputs": ..., "parameters": {...}}` as `transformers.pipeline` answers inputs.

    Raises:
        RequestError: See `Service`.
    """
    given = await service.json(request)
    check_keys(given, _KEYS, "the body")
    if "inputs" not in given:
        raise RequestError(422, "the body has no 'inputs'", hint='send {"inputs": "some text"}')
    predictor = service.predictor
    spec = predictor.task.SPEC
    options = {**spec.served, **service.options(predictor, given.get("parameters"))}
    parsed, shaped = _read(service, predictor, given["inputs"])
    body = await service.answer(predictor, parsed, options, lambda found: dump(shaped(found)))
    return Response(body, media_type="application/json")


def dump(value: Any) -> bytes:
    """Return a result as JSON; arrays are lists."""
    return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def _read(
    service: Service, predictor: Predictor, inputs: Any
) -> tuple[Parsed, Callable[[list[Any]], Any]]:
    spec = predictor.task.SPEC
    if spec.pooled and isinstance(inputs, dict):
        check_keys(inputs, ("source_sentence", "sentences"), "inputs")
        texts = [inputs.get("source_sentence"), *_list(inputs.get("sentences"))]
        return service.parsed(predictor, texts), similarities
    parsed = service.parsed(predictor, inputs)
    return parsed, _alternatives if spec.alternatives else parsed.shaped


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(422, "inputs.sentences must be a list of texts")
    return value


def _alternatives(results: list[Any]) -> list[Any]:
    """Return a list for each input, also where there is one input, or one answer."""
    return [each if isinstance(each, list) else [each] for each in results]


def similarities(vectors: list[Any]) -> list[float]:
    """Return the cosine of the angle between the first vector and each of the others."""
    if len(vectors) < 2:
        return []
    rows = np.stack(vectors).astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return [float(value) for value in rows[1:] @ rows[0]]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")
