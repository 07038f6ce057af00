"""The Hugging Face hub, or doing without it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

__all__ = ["hub_if_reachable"]

_TIMEOUT_S = 3.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@contextmanager
def hub_if_reachable() -> Iterator[None]:
    """Switch the hub's libraries to offline mode in this block if its host does not answer.

    They would find out by themselves, after half a minute of retries; in offline mode they look
    into their cache at once.
    """
    from datasets import config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    if not _answers(constants.ENDPOINT):
        constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before


def _answers(endpoint: str) -> bool:
    if any(os.environ.get(name) for name in _PROXIES):
        return True  # only the proxy can tell
    url = urlsplit(endpoint)
    port = url.port or (80 if url.scheme == "http" else 443)
    try:
        socket.create_connection((str(url.hostname), port), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True
