"""`POST /v1/embeddings`, in the form of OpenAI's API."""

import base64
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtimes.pipeline import Predictor
from runtimes.serving.bodies import check_keys
from runtimes.serving.protocols.hub_api import dump
from runtimes.serving.request_errors import RequestError
from runtimes.serving.service import Service

__all__ = ["embeddings", "error_body", "models"]

_KEYS = ("input", "model", "encoding_format", "dimensions", "user")
_FORMATS = ("float", "base64")


async def embeddings(service: Service, request: Request) -> Response:
    """Answer a text or a list of texts with vectors.

    Raises:
        RequestError: The model makes none (404), or see `Service`.
    """
    predictor = service.predictor
    if not predictor.task.SPEC.pooled:
        raise RequestError(
            404,
            f"the model is one of {predictor.task.SPEC.name}, and makes no embeddings",
            hint="ask it at /predict",
        )
    given = await service.json(request)
    check_keys(given, _KEYS, "the body")
    name = given.get("model", service.settings.name)
    if name != service.settings.name:
        raise RequestError(
            404, f"there is no model {name!r:.60} here but {service.settings.name!r}"
        )
    form = given.get("encoding_format", "float")
    if form not in _FORMATS:
        raise RequestError(
            422, f"encoding_format is {form!r:.20}; there are: {', '.join(_FORMATS)}"
        )
    texts = given.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestError(422, "input must be a text or a list of texts; tokens are not taken")
    if not texts:
        raise RequestError(422, "input has no text")
    parsed = service.parsed(predictor, texts)
    size = given.get("dimensions")

    def finish(vectors: list[Any]) -> bytes:
        if size not in (None, len(vectors[0])):
            raise RequestError(
                422, f"dimensions is {size!r:.20}; this model's are {len(vectors[0])}"
            )
        return dump(_answer(name, predictor, texts, vectors, form))

    body = await service.answer(predictor, parsed, {}, finish)
    return Response(body, media_type="application/json")


async def models(service: Service, _request: Request) -> Response:
    """List the model."""
    one = {"id": service.settings.name, "object": "model", "created": 0, "owned_by": "edgepress"}
    return JSONResponse({"object": "list", "data": [one]})


def error_body(refusal: RequestError) -> dict[str, Any]:
    """Return an error as OpenAI's clients read it."""
    hint = "" if refusal.hint is None else f" ({refusal.hint})"
    kind = "invalid_request_error" if refusal.status < 500 else "server_error"
    if refusal.status == 429:
        kind = "rate_limit_error"
    return {"error": {"message": refusal.message + hint, "type": kind, "param": None, "code": None}}


def _answer(
    name: str, predictor: Predictor, texts: list[str], vectors: list[Any], form: str
) -> dict[str, Any]:
    tokens = int(predictor.tokenizer.rows(texts).lengths.sum())
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector, form)}
            for index, vector in enumerate(vectors)
        ],
        "model": name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _encoded(vector: Any, form: str) -> Any:
    if form == "float":
        return vector
    return base64.b64encode(np.asarray(vector).astype("<f4").tobytes()).decode()
