"""Bodies of requests: read up to a limit, and taken for the JSON that they have to be."""

import asyncio
from collections.abc import Collection
from typing import Any

from starlette.requests import Request

from runtimes.errors import did_you_mean
from runtimes.json_files import parse_json
from runtimes.serving.request_errors import RequestError

__all__ = ["check_keys", "parse_object", "read_body"]

# Bytes from which on a body is parsed beside the event loop: it takes milliseconds.
_LARGE = 1 << 16


async def read_body(request: Request, most: int) -> bytes:
    """Return a request's body.

    Raises:
        RequestError: It is larger than `most` bytes (413), or packed (415).
        ClientDisconnect: The client has gone.
    """
    if (packed := request.headers.get("content-encoding", "identity")) != "identity":
        raise RequestError(415, f"the body is packed by {packed[:20]!r}", hint="send it as it is")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise _too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        RequestError: It is not one (400).
    """
    found = await asyncio.to_thread(_parse, body) if len(body) > _LARGE else _parse(body)
    if not isinstance(found, dict):
        raise RequestError(400, f"the body is {_kind(found)}, and must be a JSON object")
    return found


def check_keys(given: Collection[str], known: Collection[str], where: str) -> None:
    """Refuse what nobody reads: a misspelt key would change nothing, and not be seen.

    Raises:
        RequestError: A key is not known (422).
    """
    for key in given:
        if key not in known:
            raise RequestError(
                422,
                f"{where} has no {key[:60]!r}; there are: {', '.join(known) or 'none'}",
                hint=did_you_mean(key[:60], known),
            )


def _parse(body: bytes) -> Any:
    try:
        return parse_json(body)
    except ValueError as error:
        hint = None if body.strip() else 'send {"inputs": "some text"}'
        raise RequestError(400, f"the body is no JSON: {error}", hint=hint) from None


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _too_large(most: int) -> RequestError:
    return RequestError(
        413,
        f"the body is larger than {most:,} bytes",
        hint="send fewer texts at once",
        headers={"Connection": "close"},  # what is left of it is not read
    )
