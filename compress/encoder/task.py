"""Reads from a config in memory what its model's task is."""

from typing import Any

from runtimes.hf_config import task_of
from runtimes.pooling import Pooling
from runtimes.registry import spec_of_head

__all__ = ["note_pooling", "pooling_of", "task_of_checkpoint"]

# Where a config in memory carries what its folder says beside it.
_POOLING = "sentence_pooling"


def task_of_checkpoint(config: Any) -> str:
    """Return a model's task, by its name in `runtimes.tasks`.

    Args:
        config: As `compress.encoder.checkpoint.read_config` gave it.
    """
    return task_of(config.architectures, pooling_of(config))


def pooling_of(config: Any) -> Pooling | None:
    """Return how a checkpoint makes sentence vectors; None: it makes none."""
    own = spec_of_head(getattr(config, "head", None))
    if own is not None and own.pooled:  # a lean encoder
        return Pooling(config.pooling, config.normalized)
    noted = getattr(config, _POOLING, None)
    return None if noted is None else Pooling(**noted)


def note_pooling(config: Any, pooling: Pooling | None) -> None:
    """Let a config say how sentence vectors are made, if they are and it does not say so itself."""
    if pooling is not None and getattr(config, "head", None) is None:
        setattr(config, _POOLING, {"mode": pooling.mode, "normalized": pooling.normalized})
