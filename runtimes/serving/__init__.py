"""A web server for an artifact: `edgepress serve`, or `python -m runtimes serve` on a device.

It needs Starlette, uvicorn and prometheus-client (the extra `serve`), beside what any device has.
Imported by the commands alone. Read `app.py` first: the routes; `batching.py` is what stands
between them and the model, `server.py` what starts and stops.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtimes.errors import MissingDependencyError

if TYPE_CHECKING:
    from runtimes.pipeline import Predictor
    from runtimes.serving.settings import ServerSettings

__all__ = ["serve"]

_EXTRA = ("anyio", "prometheus_client", "starlette", "uvicorn")


def serve(
    open_model: Callable[[], "Predictor"],
    settings: "ServerSettings",
    *,
    page: "Callable[[Predictor], str] | None" = None,
    original: "Predictor | None" = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Answer over HTTP until SIGTERM or Ctrl-C; then finish what was accepted, and return.

    Args:
        open_model: Opens the artifact: now, and again at each SIGHUP.
        settings: Where to listen, and the limits.
        page: Makes a page to try the model on, from the model that answers; it is at `/`.
        original: The model that the artifact was made of, which the page asks, too.
        on_listening: Called with the address once requests are answered.

    Raises:
        MissingDependencyError: The extra is not installed.
        UsageError: The address cannot be listened on.
        EdgepressError: Whatever `open_model` raises at the start.
    """
    try:
        from runtimes.serving.server import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        raise MissingDependencyError(
            f"A server needs the package {error.name}, which is not installed.",
            hint="Install the extra [serve]: pip install starlette uvicorn prometheus-client",
        ) from error
    run(open_model, settings, page=page, original=original, on_listening=on_listening)
