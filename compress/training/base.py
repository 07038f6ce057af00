"""Loads the model that training begins with, and says which of its weights start anew."""

from collections.abc import Sequence
from typing import Any

from compress.encoder.checkpoint import (
    PRECISION,
    check_sound,
    check_source,
    first_line,
    open_pretrained,
)
from compress.errors import ModelError
from compress.system.hub import hub_if_reachable
from compress.training.scratch import SIZES, is_size, new_config, train_tokenizer
from compress.training.settings import TrainingSettings
from runtimes.checkpoint import open_checked, sizes_behind

__all__ = ["load_base", "new_pooler", "open_base"]

# Tokens of a new encoder's inputs, where nothing else is asked for.
_NEW_LENGTH = 128


def load_base(
    base: str,
    opener: Any,
    settings: TrainingSettings,
    texts: Sequence[str],
    *,
    purpose: str,
    **config: Any,
) -> tuple[Any, Any, list[str]]:
    """Load a base model and its tokenizer, or make both where the base is a size.

    Args:
        base: Encoder checkpoint folder or hub id, or a size of `compress.training.scratch`.
        opener: Transformers auto class with the head.
        settings: Seed of new weights; length and vocabulary of a new encoder.
        texts: Texts that a new vocabulary is learnt from.
        purpose: What the model is loaded for, for the error.
        config: Values to change in the model's configuration.

    Returns:
        The model, its tokenizer, and the weights that start anew (`open_base`).

    Raises:
        ModelError: The base cannot be loaded, lacks weights of its encoder, has some that are no
            numbers, or tokens without a vector.
    """
    import transformers

    transformers.set_seed(settings.seed)  # of new weights
    if is_size(base):
        length = settings.max_length or _NEW_LENGTH
        tokenizer = train_tokenizer(texts, settings.vocabulary, length)
        made = new_config(base, tokenizer, **config)
        return opener.from_config(made, trust_remote_code=False), tokenizer, []
    try:
        with hub_if_reachable():
            check_source(base)
            tokenizer = open_pretrained(transformers.AutoTokenizer, base)
            model, new = open_base(opener, base, **config)
    except ModelError:
        raise
    except Exception as error:  # transformers raises of every kind
        raise ModelError(
            f"{base} cannot be loaded {purpose}: {first_line(error)}",
            hint="name an encoder's checkpoint folder, a model id of the hub, or a size to start "
            f"from: {', '.join(SIZES)}",
        ) from error
    check_sound(base, tokenizer, model)
    return model, tokenizer, new


def open_base(opener: Any, base: str, **config: Any) -> tuple[Any, list[str]]:
    """Load a base model in float32 and list which of its weights start anew.

    These are the head's, where the base has another or none, and the pooler's. The library draws
    all that it does not find, and says so where nobody looks.

    Args:
        opener: Class of Transformers that has the head.
        base: Encoder checkpoint folder or hub id.
        config: Values to change in its configuration.

    Raises:
        ModelError: Weights of the encoder are missing, or of another size than the configuration's.
    """

    def new_weights(model: Any, info: dict[str, Any]) -> list[str]:
        drawn = sorted({*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])})
        encoder = f"{model.base_model_prefix}."
        new = [name for name in drawn if not name.startswith(encoder) or _of_pooler(model, name)]
        if lost := [name for name in drawn if name not in new]:
            raise ModelError(
                f"{base}: weights of its encoder are missing or of another size: "
                f"{', '.join(lost[:3])}{f' and {len(lost) - 3} more' if len(lost) > 3 else ''}"
                f"{sizes_behind(model.config, info)}",
                hint="Do config.json and the weights belong together, and are the weights whole?",
            )
        return new

    return open_checked(opener, base, new_weights, dtype=PRECISION, **config)


def new_pooler(model: Any, new: list[str]) -> bool:
    """Return whether the pooler is among what `open_base` says starts anew."""
    return any(_of_pooler(model, name) for name in new)


def _of_pooler(model: Any, name: str) -> bool:
    return name.startswith(f"{model.base_model_prefix}.pooler.")
