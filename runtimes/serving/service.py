"""The open model and all that requests share: limits, counters, log, and whether it goes on."""

import asyncio
import inspect
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from runtimes.errors import EdgepressError
from runtimes.pipeline import Predictor
from runtimes.serving.batching import Batcher, Job
from runtimes.serving.bodies import check_keys, parse_object, read_body
from runtimes.serving.logs import Log
from runtimes.serving.metrics import Metrics
from runtimes.serving.request_errors import RequestError
from runtimes.serving.settings import ServerSettings
from runtimes.tasks.base import Parsed

__all__ = ["Service", "describe"]

_MOST_ANSWERS = 1000  # of an input: thousands more would take the model's thread for seconds


@dataclass(eq=False)
class Service:
    """What routes are given.

    Attributes:
        predictor: The model that new requests are answered by.
        open_model: Opens the artifact anew.
        settings: The limits.
        log: Where things are told.
        metrics: Where they are counted.
        draining: Whether it is about to end.
        requests: Requests in progress.
    """

    predictor: Predictor
    open_model: Callable[[], Predictor]
    settings: ServerSettings
    log: Log
    metrics: Metrics = field(default_factory=Metrics)
    draining: bool = False
    requests: int = 0
    _batcher: Batcher | None = None
    _reloading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self) -> None:
        """Begin to answer; in the event loop."""
        settings = self.settings
        self._batcher = Batcher(
            most=settings.queue,
            batch_size=settings.batch_size,
            wait_s=settings.batch_wait_ms / 1e3,
            metrics=self.metrics,
        )
        self.metrics.show_model(settings.name, self.predictor)

    async def stop(self) -> None:
        """Answer what was accepted, and close the model."""
        if self._batcher is not None:
            await self._batcher.close()
        self.predictor.close()

    async def reload(self) -> None:
        """Open the artifact anew; what was accepted before is answered by the old one.

        An artifact that cannot be opened changes nothing.
        """
        async with self._reloading:
            begun = time.perf_counter()
            try:
                new = await asyncio.to_thread(self.open_model)
            except EdgepressError as error:  # its words are about files
                self.metrics.reloads.labels("failed").inc()
                self.log.write("reload failed", level="error", message=str(error))
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the old one goes on
                self.metrics.reloads.labels("failed").inc()
                self.log.failure("reload failed", error)
                return
            old, self.predictor = self.predictor, new
            self._running.after_these(old.close)
            self.metrics.reloads.labels("done").inc()
            self.metrics.show_model(self.settings.name, new)
            took = round(time.perf_counter() - begun, 3)
            self.log.write("reloaded", seconds=took, **describe(new))

    def check_token(self, request: Request) -> None:
        """Refuse who does not have the token.

        Raises:
            RequestError: The request has none, or another one (401).
        """
        if self.settings.token is None:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        # In constant time; header values may hold any Latin-1.
        same = secrets.compare_digest(given.strip().encode(), self.settings.token.encode())
        if kind.lower() != "bearer" or not same:
            raise RequestError(
                401,
                "this server wants a token, and the request has no right one",
                hint="send the header: Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def body(self, request: Request) -> bytes:
        """Return a request's body, if there is room for the request at all.

        Raises:
            RequestError: There is not (429), or the body is too large (413).
        """
        if self.requests > self.settings.queue:
            raise self._running.full()
        return await read_body(request, self.settings.max_body_bytes)

    async def json(self, request: Request) -> dict[str, Any]:
        """Return the JSON object that a request's body is; see `body`.

        Raises:
            RequestError: It is none (400), or there is no room.
        """
        return await parse_object(await self.body(request))

    def parsed(self, predictor: Predictor, inputs: Any) -> Parsed:
        """Return inputs as the task reads them.

        Raises:
            RequestError: They have another form, or are too many (422).
        """
        try:
            parsed = predictor.task.parse(inputs)
        except TypeError as error:
            raise RequestError.of(error) from None
        if len(parsed.inputs) > self.settings.max_texts:
            raise RequestError(
                422,
                f"a request may have {self.settings.max_texts} texts, and this one has "
                f"{len(parsed.inputs)}",
                hint="send them in several requests",
            )
        return parsed

    def options(self, predictor: Predictor, parameters: Any) -> dict[str, Any]:
        """Return parameters of a request as options of the task.

        Raises:
            RequestError: They are no object, or there is no such option (422).
        """
        if parameters is not None and not isinstance(parameters, Mapping):
            raise RequestError(422, "parameters must be an object")
        if not parameters:
            return {}
        found = inspect.signature(predictor.task.postprocess).parameters.values()
        known = [each.name for each in found if each.kind is inspect.Parameter.KEYWORD_ONLY]
        check_keys(parameters, known, f"{predictor.task.SPEC.name}: parameters")
        count = parameters.get("top_k")
        if isinstance(count, int) and count > _MOST_ANSWERS:
            raise RequestError(
                422, f"top_k is {count}, and at most {_MOST_ANSWERS} answers are given"
            )
        return dict(parameters)

    async def answer(
        self,
        predictor: Predictor,
        parsed: Parsed,
        options: dict[str, Any],
        finish: Callable[[list[Any]], Any],
    ) -> Any:
        """Return what `finish` makes of the results, once the model has been asked.

        Raises:
            RequestError: There is no room (429), or the model does not take the inputs (422).
        """
        return await self._running.answer(Job(predictor, parsed.inputs, options, finish))

    @property
    def _running(self) -> Batcher:
        assert self._batcher is not None, "requests come after the start"
        return self._batcher


def describe(predictor: Predictor) -> dict[str, Any]:
    """Return what the log says of a model."""
    return {
        "task": predictor.task.SPEC.name,
        "runtime": predictor.runtime,
        "precision": predictor.precision,
        "device": predictor.device,
        "max_length": predictor.max_length,
    }
