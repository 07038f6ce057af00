"""What the server offers, as OpenAPI 3.1 and as a page that needs no script and no network."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from runtimes.pipeline import Predictor
from runtimes.serving.settings import ServerSettings
from runtimes.versions import tool_version

__all__ = ["PAGE_HEADERS", "POLICY", "document", "page"]

POLICY = "Content-Security-Policy"

PAGE_HEADERS = {
    # Nothing from elsewhere, nowhere to send anything, and no script.
    POLICY: "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_ERRORS = {
    "400": "The body is no JSON.",
    "401": "The token is missing or wrong.",
    "413": "The body is too large.",
    "422": "The request has another form than the model takes; the error says which.",
    "429": "Too many texts wait already; `Retry-After` says for how many seconds.",
    "503": "There was no answer in time, or the server is about to end.",
}
_TEXTS = ("the film was good", "a very bad plot")


def document(predictor: Predictor, settings: ServerSettings) -> dict[str, Any]:
    """Return the OpenAPI document of a server with this model."""
    spec = predictor.task.SPEC
    name = settings.name
    paths = {
        "/predict": _asked(
            f"Answers of {spec.name}, in the form of the Hugging Face inference API",
            {"inputs": _input(predictor)},
            ("inputs",),
            parameters="Options of the task, such as top_k.",
        ),
        f"/v2/models/{name}/infer": _asked(
            "The Open Inference Protocol: texts as tensors of type BYTES",
            {"inputs": _tensors(predictor)},
            ("inputs",),
            id="Comes back in the answer.",
            outputs="Which tensors to answer with; all where it is missing.",
            parameters="Options of the task.",
        ),
        f"/v2/models/{name}": _told("The model's inputs and outputs"),
        f"/v2/models/{name}/ready": _told("Whether the model answers"),
        "/v2": _told("What this server is"),
        "/v2/health/live": _told("Whether the process answers", is_open=True),
        "/v2/health/ready": _told("Whether to send requests here", is_open=True),
        "/v1/models": _told("The model, in the form of OpenAI's API"),
        "/healthz": _told("Whether to send requests here", is_open=True),
        "/metrics": _told("Counts and times, for Prometheus"),
    }
    if spec.pooled:
        paths["/v1/embeddings"] = _asked(
            "Vectors, in the form of OpenAI's API",
            {"input": list(_TEXTS), "model": name},
            ("input",),
            encoding_format="float, or base64 of float32.",
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name}: {spec.name}",
            "version": tool_version(),
            "description": f"{predictor.precision} by {predictor.runtime} on {predictor.device}. "
            f"At most {settings.max_texts} texts and {settings.max_body_bytes:,} bytes a request; "
            f"texts are cut to {predictor.max_length} tokens.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}, "hint": {"type": "string"}},
                    "required": ["error"],
                }
            },
        },
        **({} if settings.token is None else {"security": [{"token": []}]}),
    }


def page(described: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as HTML: each address with an example that can be copied."""
    about = described["info"]
    parts = [
        f"<h1>{escape(about['title'])}</h1><p>{escape(about['description'])} "
        '<a href="openapi.json">openapi.json</a></p>'
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts.append(
                f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{escape(operation['summary'])}</p>"
                f"<pre tabindex=0>{escape(_command(method, path, operation))}</pre>"
            )
    errors = "".join(f"<li>{code}: {escape(what)}</li>" for code, what in _ERRORS.items())
    parts.append(f"<h2>Errors</h2><p>A JSON object with error and hint.</p><ul>{errors}</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(about['title'])}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0}main{max-width:50rem;margin:auto;"
    "padding:1.5rem 1rem 4rem;overflow-wrap:anywhere}h1{font-size:1.5rem}h2{font-size:1.05rem;"
    "margin:2rem 0 .3rem}pre{border:1px solid;border-radius:.4rem;padding:.6rem .8rem;"
    "white-space:pre-wrap}code,pre{font-family:ui-monospace,monospace}p{margin:.3rem 0}"
)


def _command(method: str, path: str, operation: Mapping[str, Any]) -> str:
    if method == "get":
        return f"curl http://127.0.0.1:8000{path}"
    example = operation["requestBody"]["content"]["application/json"]["example"]
    return f"curl http://127.0.0.1:8000{path} -d '{json.dumps(example)}'"


def _asked(
    summary: str, example: Mapping[str, Any], required: tuple[str, ...], **meanings: str
) -> dict[str, Any]:
    properties: dict[str, Any] = {key: {} for key in example}
    properties |= {key: {"description": meaning} for key, meaning in meanings.items()}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    failed = {"$ref": "#/components/schemas/Error"}
    return {
        "post": {
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": schema, "example": example}},
            },
            "responses": {
                "200": {"description": "The answers.", "content": {"application/json": {}}},
                **{
                    code: {
                        "description": what,
                        "content": {"application/json": {"schema": failed}},
                    }
                    for code, what in _ERRORS.items()
                },
            },
        }
    }


def _told(summary: str, *, is_open: bool = False) -> dict[str, Any]:
    responses = {"200": {"description": summary}}
    operation = {"summary": summary, "responses": responses}
    return {"get": {**operation, **({"security": []} if is_open else {})}}


def _parts(predictor: Predictor) -> dict[str, Any]:
    """Return an example of an input, by its parts."""
    spec = predictor.task.SPEC
    kept = len(spec.asked) - (0 if predictor.pairs else spec.optional)
    names = spec.asked[:kept]
    texts: list[Any] = (spec.example or "\t".join(_TEXTS[: len(names)])).split("\t")
    if spec.nested:
        texts = [*texts[: len(names) - 1], texts[len(names) - 1 :]]
    return dict(zip(names, texts, strict=False))


def _input(predictor: Predictor) -> Any:
    parts = _parts(predictor)
    return next(iter(parts.values())) if len(parts) == 1 else parts


def _tensors(predictor: Predictor) -> list[dict[str, Any]]:
    found = []
    for name, value in _parts(predictor).items():
        shape = [1, len(value)] if isinstance(value, list) else [1]
        data = value if isinstance(value, list) else [value]
        found.append({"name": name, "datatype": "BYTES", "shape": shape, "data": data})
    return found
