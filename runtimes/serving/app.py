"""The routes of the server, and what each answer goes through: limits, log, counters, errors."""

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from runtimes.serving.demo import Demo, demo_routes
from runtimes.serving.metrics import METRICS_TYPE
from runtimes.serving.protocols import embeddings, hub_api, inference, openapi
from runtimes.serving.request_errors import RequestError
from runtimes.serving.service import Service

__all__ = ["create_app"]

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:

    @asynccontextmanager
    async def timeout(seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError where the block takes longer."""
        with anyio.fail_after(seconds):
            yield


Handler = Callable[[Service, Request], Awaitable[Response]]


def create_app(service: Service, demo: Demo | None = None) -> Starlette:
    """Return the application; it closes the service's model when it ends.

    Args:
        service: The open model.
        demo: A page to try it on, at `/`.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    def route(path: str, handler: Handler, *methods: str, is_open: bool = False) -> Route:
        return Route(path, _answering(service, path, handler, is_open), methods=methods or ("GET",))

    model = "/v2/models/{name}"
    versioned = f"{model}/versions/{{version}}"
    routes: list[BaseRoute] = [  # looked through in this order: what is asked most stands first
        route("/predict", hub_api.predict, "POST"),
        route(f"{model}/infer", inference.infer, "POST"),
        route("/v1/embeddings", embeddings.embeddings, "POST"),
        route("/v1/models", embeddings.models),
        route("/v2", inference.server),
        route("/v2/health/live", inference.live, is_open=True),
        route("/v2/health/ready", inference.ready, is_open=True),
        *(
            each
            for start in (model, versioned)
            for each in (
                route(start, inference.model),
                route(f"{start}/ready", inference.model_ready),
            )
        ),
        route(f"{versioned}/infer", inference.infer, "POST"),
        route("/healthz", _health, is_open=True),
        route("/metrics", _metrics),
        route("/openapi.json", _openapi, is_open=True),
        route("/docs", _docs, is_open=True),
        *(demo_routes(demo, route) if demo else [route("/", _to_docs, is_open=True)]),
    ]
    unknown = _answering(service, "other", _unknown(routes), is_open=True)
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: unknown, 405: unknown},
    )


def _answering(
    service: Service, path: str, handler: Handler, is_open: bool
) -> Callable[..., Awaitable[Response]]:
    """Return an endpoint: the handler, and what all of them have in common."""

    async def endpoint(request: Request, error: HTTPException | None = None) -> Response:
        begun = time.perf_counter()
        service.requests += 1
        if error is not None:
            request.state.error = error
        try:
            async with timeout(service.settings.timeout_s):
                if not is_open:
                    service.check_token(request)
                response = await handler(service, request)
        except RequestError as refusal:
            response = _refused(path, refusal)
        except TimeoutError:
            seconds = service.settings.timeout_s
            response = _refused(
                path, RequestError(503, f"there was no answer within {seconds:g} s")
            )
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        except Exception as failure:  # noqa: BLE001 - the next request shall be answered
            service.log.failure("request failed", failure, path=path)
            response = _refused(path, RequestError(500, "the server failed; its log says where"))
        finally:
            service.requests -= 1
        if service.draining:
            response.headers["Connection"] = "close"
        _note(service, request.method, path, response.status_code, time.perf_counter() - begun)
        return response

    return endpoint


def _refused(path: str, refusal: RequestError) -> Response:
    body = embeddings.error_body(refusal) if path.startswith("/v1/") else refusal.to_json()
    return JSONResponse(body, refusal.status, headers=refusal.headers)


def _note(service: Service, method: str, path: str, status: int, seconds: float) -> None:
    service.metrics.requests.labels(path, status).inc()
    service.metrics.seconds.labels(path).observe(seconds)
    if service.settings.log_requests:
        # The route, not the address: that may hold a text.
        service.log.write(
            "request",
            method=method if method.isalpha() and len(method) < 10 else "other",
            path=path,
            status=status,
            ms=round(seconds * 1e3, 3),
        )


def _unknown(routes: Sequence[BaseRoute]) -> Handler:
    known = [each for each in routes if isinstance(each, Route)]

    async def refuse(_service: Service, request: Request) -> Response:
        error: HTTPException = request.state.error
        if error.status_code == 405:
            methods = (error.headers or {}).get("Allow", "")
            raise RequestError(
                405, f"{request.method[:10]} is not one of: {methods}", headers=error.headers
            )
        paths = dict.fromkeys(each.path for each in known)
        raise RequestError(
            404, "there is nothing at this address", hint=f"there are: {', '.join(paths)}"
        )

    return refuse


async def _health(service: Service, _request: Request) -> Response:
    said = "ending" if service.draining else "ok"
    return JSONResponse({"status": said}, 503 if service.draining else 200)


async def _metrics(service: Service, _request: Request) -> Response:
    return Response(service.metrics.render(), media_type=METRICS_TYPE)


async def _openapi(service: Service, _request: Request) -> Response:
    return JSONResponse(openapi.document(service.predictor, service.settings))


async def _docs(service: Service, _request: Request) -> Response:
    document = openapi.document(service.predictor, service.settings)
    return HTMLResponse(openapi.page(document), headers=openapi.PAGE_HEADERS)


async def _to_docs(_service: Service, _request: Request) -> Response:
    return RedirectResponse("/docs")
