"""What Prometheus can ask: counts and times, in a registry of the server's own."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from runtimes.pipeline import Predictor
from runtimes.versions import tool_version

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of a server.

    Attributes:
        requests: By route and status.
        seconds: From a request's first byte to its answer, by route.
        waited: From acceptance of a request to when the model turned to it.
        model: Seconds that the model took for what it was given at once.
        batch: Texts that it was given at once.
        texts: Texts that were answered.
        queue: Texts that were accepted and are not answered yet.
        reloads: By outcome (`done`, `failed`).
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "edgepress_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "edgepress_request_seconds",
            "From a request's first byte to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.waited = Histogram(
            "edgepress_wait_seconds",
            "From acceptance to when the model turned to it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.model = Histogram(
            "edgepress_model_seconds",
            "What the model took for what it was given at once.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "edgepress_batch_texts",
            "Texts that the model was given at once.",
            buckets=_TEXTS,
            registry=registry,
        )
        self.texts = Counter("edgepress_texts", "Texts answered.", registry=registry)
        self.queue = Gauge(
            "edgepress_queue_texts", "Texts accepted and not answered yet.", registry=registry
        )
        self.reloads = Counter(
            "edgepress_reloads", "Artifacts opened at SIGHUP.", ["outcome"], registry=registry
        )
        self._info = Gauge(
            "edgepress_model_info",
            "The model that answers.",
            ["name", "task", "runtime", "precision", "device", "version"],
            registry=registry,
        )

    def show_model(self, name: str, predictor: Predictor) -> None:
        """Name the model that answers from now on."""
        self._info.clear()
        self._info.labels(
            name,
            predictor.task.SPEC.name,
            predictor.runtime,
            predictor.precision,
            predictor.device,
            tool_version(),
        ).set(1)

    def render(self) -> bytes:
        """Return all of them in Prometheus's format."""
        return generate_latest(self._registry)
