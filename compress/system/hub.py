"""The Hugging Face hub, or doing without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtimes.hub import hub_answers

__all__ = ["hub_if_reachable", "local_checkpoint"]


@contextmanager
def hub_if_reachable() -> Iterator[None]:
    """Switch the hub's libraries to offline mode in this block if its host does not answer.

    They would find out by themselves, after half a minute of retries; in offline mode they look
    into their cache at once.
    """
    from datasets import config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    if not hub_answers(constants.ENDPOINT):
        constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before


def local_checkpoint(model: str) -> Path:
    """Return the checkpoint's folder; download a model of the hub, but not its pickles."""
    path = Path(model).expanduser()
    if path.exists():
        return path.resolve()
    from huggingface_hub import snapshot_download

    with hub_if_reachable():
        return Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.txt"]))
