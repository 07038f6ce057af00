"""The base model, and whether its files hold all of its encoder."""

from typing import Any

from compress.errors import ModelError

__all__ = ["new_pooler", "open_base"]


def open_base(opener: Any, base: str, **config: Any) -> tuple[Any, list[str]]:
    """A base model in float32, and which of its weights start anew.

    These are the head's, where the base has another or none, and the pooler's. The library draws
    all that it does not find, and says so where nobody looks.

    Args:
        opener: The class of Transformers that has the head.
        base: Encoder checkpoint folder or hub id.
        config: What to change in its configuration.

    Raises:
        ModelError: Weights of the encoder are missing, or of another size than the configuration's.
    """
    import torch

    model, info = opener.from_pretrained(
        base,
        **config,
        # Left to itself the library takes the file's, and in half precision small steps are lost.
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # a head of other classes is replaced
        use_safetensors=True,
        output_loading_info=True,
    )
    drawn = sorted({*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])})
    encoder = f"{model.base_model_prefix}."
    new = [name for name in drawn if not name.startswith(encoder) or _of_pooler(model, name)]
    if lost := [name for name in drawn if name not in new]:
        raise ModelError(
            f"{base}: weights of its encoder are missing or of another size: "
            f"{', '.join(lost[:3])}{f' and {len(lost) - 3} more' if len(lost) > 3 else ''}",
            hint="Do config.json and the weights belong together, and are the weights whole?",
        )
    return model, new


def new_pooler(model: Any, new: list[str]) -> bool:
    """Whether the pooler is among what `open_base` says starts anew."""
    return any(_of_pooler(model, name) for name in new)


def _of_pooler(model: Any, name: str) -> bool:
    return name.startswith(f"{model.base_model_prefix}.pooler.")
