"""A page to try the model on, beside the original where that can be opened."""

import asyncio
import base64
import hashlib
import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from runtimes.errors import EdgepressError
from runtimes.pipeline import Predictor
from runtimes.serving.bodies import check_keys
from runtimes.serving.protocols.hub_api import similarities
from runtimes.serving.protocols.openapi import PAGE_HEADERS, POLICY
from runtimes.serving.request_errors import RequestError
from runtimes.serving.service import Service
from runtimes.tasks.base import Parsed, TaskSpec

__all__ = ["Demo", "demo_routes"]

_TIMES = 5  # that each model is asked and timed: once says little
# By task, what a row of an answer is called by: the first of them that it has.
_NAMES = ("label", "entity_group", "answer", "token_str")


@dataclass(eq=False)
class Demo:
    """What the page shows, and asks.

    Attributes:
        page: Makes HTML for the model that answers; it asks `POST demo/ask`, and needs nothing else
            from anywhere.
        original: The model that the artifact was made of.
    """

    page: Callable[[Predictor], str]
    original: Predictor | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def close(self) -> None:
        """Free the original's memory."""
        self._thread.shutdown()
        if self.original is not None:
            self.original.close()

    async def ask(self, service: Service, request: Request) -> Response:
        """Answer `{"inputs": ...}` by each model, and say how many milliseconds each took.

        Raises:
            RequestError: The inputs have another form; see `Service`.
        """
        given = await service.json(request)
        check_keys(given, ("inputs",), "the body")
        predictor = service.predictor
        parsed = service.parsed(predictor, given.get("inputs"))
        spec = predictor.task.SPEC
        options = {**spec.served, **spec.shown}

        models = {"small": predictor}
        if self.original is not None:
            models["original"] = self.original

        def asked() -> dict[str, Any]:
            taken: dict[str, list[float]] = {name: [] for name in models}
            results: dict[str, Any] = {}
            # In turns, so that what else the machine does hits both alike; the first one warms up.
            for _ in range(_TIMES + 1):
                for name, one in models.items():
                    begun = time.perf_counter()
                    results[name] = one.results(parsed.inputs, **options)
                    taken[name].append((time.perf_counter() - begun) * 1e3)
            return {
                name: {
                    "ms": statistics.median(taken[name][1:]),
                    "rows": _shown(spec, parsed, found),
                }
                for name, found in results.items()
            }

        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, asked)
        except EdgepressError as error:
            raise RequestError.of(error) from None
        return JSONResponse(answers)


def demo_routes(demo: Demo, route: Callable[..., Route]) -> list[Route]:
    """Return the routes of the page; `route` makes one of path, handler and methods."""

    async def page(service: Service, _request: Request) -> Response:
        html = await asyncio.to_thread(demo.page, service.predictor)
        return HTMLResponse(html, headers={**PAGE_HEADERS, POLICY: _policy(html)})

    return [route("/", page), route("/demo/ask", demo.ask, "POST")]


def _policy(html: str) -> str:
    """Return what the page may do: run the scripts that it came with, whatever it shows."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests)
    return f"{PAGE_HEADERS[POLICY]}; script-src {allowed}; connect-src 'self'"


def _shown(spec: TaskSpec, parsed: Parsed, results: list[Any]) -> list[dict[str, Any]]:
    """Return results as rows; of vectors, how alike they are."""
    if spec.pooled:
        return [{"name": "similarity", "score": score} for score in similarities(results)]
    return _rows(parsed.shaped(results))


def _rows(answers: Any) -> list[dict[str, Any]]:
    """Return answers as rows: a name, a score, and characters of the text where they say so."""
    if isinstance(answers, list):
        return [row for each in answers for row in _rows(each)]
    name = next(str(answers[key]) for key in _NAMES if key in answers)
    places = {key: answers[key] for key in ("start", "end") if key in answers}
    return [{"name": name, "score": answers["score"], **places}]
