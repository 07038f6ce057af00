"""`edgepress serve`: answers over HTTP."""

import threading
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compress.cli.output import Device, Revision, RuntimeName, Threads, Trusted, tell
from compress.errors import UsageError
from runtimes.serving.settings import HELP, ServerSettings, name_of, read_token

if TYPE_CHECKING:
    from runtimes import Predictor

__all__ = ["serve"]

_ASKED = ServerSettings()


def serve(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="Artifact folder, or its id on the hub.")
    ],
    host: Annotated[str, typer.Option(metavar="ADDRESS", help=HELP["host"])] = _ASKED.host,
    port: Annotated[int, typer.Option(metavar="N", help=HELP["port"])] = _ASKED.port,
    name: Annotated[str | None, typer.Option(metavar="NAME", help=HELP["name"])] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help=HELP["token_file"])
    ] = None,
    queue: Annotated[int, typer.Option(metavar="N", min=1, help=HELP["queue"])] = _ASKED.queue,
    max_texts: Annotated[
        int, typer.Option(metavar="N", min=1, help=HELP["max_texts"])
    ] = _ASKED.max_texts,
    max_body_bytes: Annotated[
        int, typer.Option(metavar="N", min=1, help=HELP["max_body_bytes"])
    ] = _ASKED.max_body_bytes,
    timeout_s: Annotated[
        float, typer.Option(metavar="S", help=HELP["timeout_s"])
    ] = _ASKED.timeout_s,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=1, help=HELP["batch_size"])
    ] = _ASKED.batch_size,
    batch_wait_ms: Annotated[
        float, typer.Option(metavar="MS", min=0, help=HELP["batch_wait_ms"])
    ] = _ASKED.batch_wait_ms,
    drain_s: Annotated[
        float, typer.Option(metavar="S", min=0, help=HELP["drain_s"])
    ] = _ASKED.drain_s,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help=HELP["quiet"])] = False,
    runtime: RuntimeName = None,
    device: Device = "cpu",
    threads: Threads = None,
    trusted: Trusted = None,
    revision: Revision = None,
    demo: Annotated[
        bool, typer.Option("--demo", metavar="", help="A page to try it on, at /.")
    ] = False,
    original: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Checkpoint that the page asks, too, in PyTorch."),
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open", metavar="", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Answer over HTTP: POST /predict, the Open Inference Protocol, /v1/embeddings; GET /docs.

    ARTIFACT may be a run's output folder. SIGTERM ends it once all that was accepted is answered,
    and SIGHUP opens the artifact anew. The log is JSON, a line a request, without the texts.
    """
    from runtimes import load, open_checkpoint
    from runtimes.serving import serve as answer

    if (original is not None or open_page) and not demo:
        raise UsageError("--original and --open belong to the page", hint="add --demo")
    folder = _artifact_in(artifact)
    settings = ServerSettings(
        host=host,
        port=port,
        name=name or name_of(folder),
        token=read_token(token_file),
        queue=queue,
        max_texts=max_texts,
        max_body_bytes=max_body_bytes,
        timeout_s=timeout_s,
        batch_size=batch_size,
        batch_wait_ms=batch_wait_ms,
        drain_s=drain_s,
        log_requests=not quiet,
    )

    if demo and settings.token is not None:
        raise UsageError("the page has no token to send", hint="leave the token out, or --demo")
    reference = None if original is None else open_checkpoint(original, threads=threads)

    def open_model() -> "Predictor":
        predictor = load(
            folder,
            runtime=runtime,
            device=device,
            threads=threads,
            batch_invariant=batch_size == 1,
            trusted=trusted,
            revision=revision,
        )
        if reference is not None and (of := reference.task.SPEC.name) != predictor.task.SPEC.name:
            predictor.close()
            raise UsageError(f"--original {original} is a model of {of}, and the artifact is not")
        return predictor

    if not demo:
        answer(open_model, settings)
        return
    from compress.cli.serving.page import page_of

    answer(
        open_model,
        settings,
        page=page_of(artifact, folder, reference),
        original=reference,
        on_listening=partial(_show, opened=open_page),
    )


def _artifact_in(artifact: str) -> str:
    """Return the artifact of a run's output folder; all else as it is."""
    from runtimes.manifest import MANIFEST_NAME

    inside = Path(artifact) / "artifact"
    is_run = not (Path(artifact) / MANIFEST_NAME).exists() and (inside / MANIFEST_NAME).exists()
    return str(inside) if is_run else artifact


def _show(url: str, *, opened: bool) -> None:
    tell(f"page  {url}")
    if opened:
        # In a thread of its own: a browser may take its time.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
