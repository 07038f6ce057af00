"""What a server is told: where to listen, and its limits."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from runtimes.errors import UsageError

__all__ = ["HELP", "TOKEN_VARIABLE", "ServerSettings", "name_of", "read_token"]

TOKEN_VARIABLE = "EDGEPRESS_TOKEN"

HELP = {
    "host": "Address to listen on; 127.0.0.1 cannot be reached from elsewhere.",
    "port": "Port to listen on; 0 takes a free one.",
    "name": "The model's name in addresses; by default that of its folder.",
    "queue": "Texts that may wait for an answer; further ones get status 429.",
    "max_texts": "Most texts of a request.",
    "max_body_bytes": "Most bytes of a request.",
    "timeout_s": "Seconds that a request may take.",
    "batch_size": "Texts at once through the model; above 1 answers may differ a little.",
    "batch_wait_ms": "Milliseconds that a text may wait for others to share a batch with.",
    "drain_s": "Seconds between SIGTERM and the end of listening.",
    "token_file": f"File with a token that requests must have; or set {TOKEN_VARIABLE}.",
    "quiet": "No line in the log for each request.",
}
"""What each option of the commands is, in a line."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ServerSettings:
    """Where to listen, what the model is called, and what is refused.

    Attributes:
        host: Address to listen on. What is not of this machine's own (127.0.0.1) can be reached
            from elsewhere.
        port: 0 takes a free one.
        name: The model's name in addresses (`/v2/models/NAME`).
        token: Who sends no `Authorization: Bearer TOKEN` is refused, but for asking whether the
            server is well; None refuses nobody.
        queue: Most texts that wait for an answer, and most requests; further ones get status 429.
        max_texts: Most texts of a request.
        max_body_bytes: Most bytes of a request.
        timeout_s: Seconds that a request may take, from its first byte to its answer.
        batch_size: Most texts that go through the model at once; what `Predictor` calls so.
        batch_wait_ms: Longest that a text waits for others to share a batch with.
        drain_s: Seconds between SIGTERM and the end of listening. Meanwhile readiness is denied,
            answers close their connections, and nothing is refused.
        log_requests: Whether each request is a line of the log.

    Raises:
        UsageError: A value cannot be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    name: str = "model"
    token: str | None = None
    queue: int = 256
    max_texts: int = 64
    max_body_bytes: int = 1 << 20
    timeout_s: float = 30.0
    batch_size: int = 1
    batch_wait_ms: float = 0.0
    drain_s: float = 1.0
    log_requests: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} cannot be part of an address",
                hint="a name has letters, digits, dots, dashes and underscores",
            )
        if self.max_texts > self.queue:
            raise UsageError(
                f"a request may have {self.max_texts} texts, and {self.queue} may wait: it would "
                "always be refused",
                hint="a queue has room for at least one request",
            )
        if not 0 <= self.port < 1 << 16:
            raise UsageError(f"{self.port} is no port; they are numbers from 0 to 65535")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise UsageError("a token has printable ASCII characters only")
        if self.token == "":
            raise UsageError("the token is empty: everybody would have it")


def name_of(artifact: str) -> str:
    """Return what to call the model of an artifact: its folder's name, or the hub's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(artifact).absolute().name).strip("-._")
    return name or "model"


def read_token(file: Path | None) -> str | None:
    """Return the token of a file, or of the environment; None where neither is given.

    Raises:
        UsageError: The file cannot be read as a line of text.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE)
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"{file} cannot be read: {reason}") from None
