"""A page to try the model on, beside the original where that can be opened."""

import asyncio
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
from runtimes.serving.protocols.openapi import PAGE_HEADERS
from runtimes.serving.request_errors import RequestError
from runtimes.serving.service import Service

__all__ = ["Demo", "demo_routes"]

_TIMES = 5  # that each model is asked: a single time says little
# By task, what a row of an answer is called by: the first of them that it has.
_NAMES = ("label", "entity_group", "answer", "token_str")


@dataclass(eq=False)
class Demo:
    """What the page shows, and asks.

    Attributes:
        page: HTML that asks `POST /demo/ask`, and needs nothing else from anywhere.
        original: The model that the artifact was made of.
    """

    page: str
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

        def asked(one: Predictor) -> dict[str, Any]:
            taken = []
            for _ in range(_TIMES):
                begun = time.perf_counter()
                results = one.results(parsed.inputs, **options)
                taken.append((time.perf_counter() - begun) * 1e3)
            if spec.pooled:
                shown: Any = [{"name": "similarity", "score": s} for s in similarities(results)]
            else:
                answers = parsed.shaped(results)
                shown = _rows(answers)
            return {"ms": statistics.median(taken), "rows": shown}

        loop = asyncio.get_running_loop()
        answers = {}
        try:
            # One after the other: side by side, each would make the other one slow.
            for name, one in (("small", predictor), ("original", self.original)):
                if one is not None:
                    answers[name] = await loop.run_in_executor(self._thread, asked, one)
        except EdgepressError as error:
            raise RequestError.of(error) from None
        return JSONResponse(answers)


def demo_routes(demo: Demo, route: Callable[..., Route]) -> list[Route]:
    """Return the routes of the page; `route` makes one of path, handler and methods."""

    async def page(_service: Service, _request: Request) -> Response:
        return HTMLResponse(demo.page, headers=PAGE_HEADERS)

    return [route("/", page), route("/demo/ask", demo.ask, "POST")]


def _rows(answers: Any) -> list[dict[str, Any]]:
    """Return answers as rows: a name, a score, and characters of the text where they say so."""
    if isinstance(answers, list):
        return [row for each in answers for row in _rows(each)]
    name = next(str(answers[key]) for key in _NAMES if key in answers)
    places = {key: answers[key] for key in ("start", "end") if key in answers}
    return [{"name": name, "score": answers["score"], **places}]
