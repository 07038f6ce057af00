"""One thread that asks the model, and the queue before it, which has an end.

The thread takes what waits, as much of it as may go together, asks the model once, and hands all
answers to the event loop at once: with many clients that costs a fraction of a hand-over each.
"""

import asyncio
import json
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtimes.base import TextInput
from runtimes.errors import ArtifactError, EdgepressError
from runtimes.pipeline import Predictor
from runtimes.serving.metrics import Metrics
from runtimes.serving.request_errors import RequestError

__all__ = ["Batcher", "Job"]

# Texts of several requests that are taken in one turn, where each goes through the model alone:
# enough to hand answers over together, few enough that the first ones do not wait for long.
_TURN = 16


@dataclass(eq=False)
class Job:
    """What one request asks of the model.

    Attributes:
        predictor: The model that was open when the request was accepted.
        inputs: Its texts or pairs.
        options: Of the task.
        finish: From the inputs' results to what the request waits for; run in the model's thread.
        model_ms: How long the model took for all that was asked with it, once it is answered.
    """

    predictor: Predictor
    inputs: Sequence[TextInput]
    options: dict[str, Any]
    finish: Callable[[list[Any]], Any]
    model_ms: float = 0.0
    answer: "asyncio.Future[Any]" = field(default_factory=asyncio.Future)
    accepted: float = field(default_factory=time.perf_counter)

    @property
    def kind(self) -> tuple[int, str]:
        """Jobs of a kind can be asked together."""
        return id(self.predictor), json.dumps(self.options, sort_keys=True)


_Outcome = tuple[Job, Any, Exception | None]


class Batcher:
    """Answers jobs in the order in which they come, in a thread of its own.

    All methods belong to the event loop's thread.

    Attributes:
        waiting: Texts that were accepted and are not answered yet.

    Args:
        most: Texts that may wait; more are refused.
        batch_size: Texts that go through the model at once.
        wait_s: Longest that a text waits for others to share a batch with.
        metrics: Where it is counted.
    """

    def __init__(self, *, most: int, batch_size: int, wait_s: float, metrics: Metrics) -> None:
        self.waiting = 0
        self._most = most
        self._batch_size = batch_size
        self._wait = wait_s if batch_size > 1 else 0.0
        self._turn = batch_size if batch_size > 1 else _TURN
        self._metrics = metrics
        self._queue: queue.SimpleQueue[Job | Callable[[], None] | None] = queue.SimpleQueue()
        self._seconds_a_text = 0.0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    async def answer(self, job: Job) -> Any:
        """Return what `job.finish` makes of the results.

        Raises:
            RequestError: There is no room (429), or the model does not take the inputs (422).
        """
        texts = max(len(job.inputs), 1)
        if self.waiting + texts > self._most:
            raise self.full()
        self.waiting += texts
        self._metrics.queue.set(self.waiting)
        self._queue.put(job)
        return await job.answer

    def full(self) -> RequestError:
        """Return the refusal of one request too many, with a guess at when there will be room."""
        seconds = max(1, math.ceil(self.waiting * self._seconds_a_text))
        return RequestError(
            429,
            f"{self.waiting} texts wait for answers already, and {self._most} may",
            hint=f"try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )

    def after_these(self, action: Callable[[], None]) -> None:
        """Have `action` done in the model's thread once all that was accepted is answered."""
        self._queue.put(action)

    async def close(self) -> None:
        """Answer what was accepted, then end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        following: Any = ()
        while True:
            item = self._queue.get() if following == () else following
            following = ()
            if item is None:
                return
            if not isinstance(item, Job):
                item()
                continue
            jobs, following = self._company(item)
            outcomes = list(self._answers(jobs))
            self._loop.call_soon_threadsafe(self._deliver, outcomes)

    def _company(self, first: Job) -> tuple[list[Job], Any]:
        """Return the job and those that it is answered with, and what came after them, or ()."""
        jobs, texts = [first], len(first.inputs)
        end = time.perf_counter() + self._wait
        while texts < self._turn:
            left = end - time.perf_counter()
            try:
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if not isinstance(item, Job) or texts + len(item.inputs) > self._turn:
                return jobs, item
            jobs.append(item)
            texts += len(item.inputs)
        return jobs, ()

    def _answers(self, jobs: Iterable[Job]) -> Iterable[_Outcome]:
        kinds: dict[tuple[int, str], list[Job]] = {}
        for job in jobs:
            if job.answer.done():  # whoever asked has gone
                yield job, None, None
            else:
                kinds.setdefault(job.kind, []).append(job)
        for alike in kinds.values():
            outcomes = self._together(alike)
            if len(alike) > 1 and all(error is not None for _, _, error in outcomes):
                # One request's fault is not the others'.
                outcomes = [each for job in alike for each in self._together([job])]
            yield from outcomes

    def _together(self, jobs: Sequence[Job]) -> list[_Outcome]:
        """Ask the model once for jobs of a kind."""
        inputs = [item for job in jobs for item in job.inputs]
        begun = time.perf_counter()
        try:
            results = jobs[0].predictor.results(
                inputs, batch_size=self._batch_size, **jobs[0].options
            )
        except Exception as error:  # noqa: BLE001 - the request's, which gets it
            return [(job, None, error) for job in jobs]
        seconds = time.perf_counter() - begun
        self._count(len(inputs), seconds, begun, jobs)
        outcomes: list[_Outcome] = []
        start = 0
        for job in jobs:
            own = results[start : start + len(job.inputs)]
            start += len(job.inputs)
            job.model_ms = seconds * 1e3
            try:
                outcomes.append((job, job.finish(own), None))
            except Exception as error:  # noqa: BLE001
                outcomes.append((job, None, error))
        return outcomes

    def _count(self, texts: int, seconds: float, begun: float, jobs: Sequence[Job]) -> None:
        if texts:
            each = seconds / texts
            before = self._seconds_a_text
            self._seconds_a_text = each if before == 0 else 0.9 * before + 0.1 * each
        self._metrics.texts.inc(texts)
        self._metrics.batch.observe(texts)
        self._metrics.model.observe(seconds)
        for job in jobs:
            self._metrics.waited.observe(begun - job.accepted)

    def _deliver(self, outcomes: Sequence[_Outcome]) -> None:
        for job, value, error in outcomes:
            self.waiting -= max(len(job.inputs), 1)
            if job.answer.done():
                continue
            if error is None:
                job.answer.set_result(value)
            else:
                job.answer.set_exception(_explained(error, job))
        self._metrics.queue.set(self.waiting)


def _explained(error: Exception, job: Job) -> Exception:
    """Return a refusal where the request is at fault, else the error."""
    asked = isinstance(error, EdgepressError) and not isinstance(error, ArtifactError)
    if isinstance(error, RequestError) or not (
        asked or (job.options and isinstance(error, TypeError | ValueError))
    ):
        return error
    return RequestError.of(error)  # type: ignore[arg-type]
