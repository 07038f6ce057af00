"""Models that a caller holds in memory, as checkpoint folders."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from compress.errors import ModelError
from compress.system.fingerprint import digest
from runtimes.folders import made_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["saved_checkpoint"]


def saved_checkpoint(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", folder: Path
) -> Path:
    """Save a loaded model below `folder`, unless it is there already.

    The place hangs on weights, configuration and tokenizer, so that a run of the same model is
    resumed. The model is left as it is.

    Args:
        model: With the head of its task.
        tokenizer: Its fast tokenizer.
        folder: Is made where it does not exist.

    Returns:
        A folder that is called like the model.

    Raises:
        ModelError: They are no model and tokenizer of transformers that can be saved.
    """
    try:
        target = folder / _key(model, tokenizer) / _name(model)
    except AttributeError as error:
        raise ModelError(
            f"({type(model).__name__}, {type(tokenizer).__name__}) is no model of transformers "
            "and its fast tokenizer",
            hint="pass (model, tokenizer), a checkpoint folder, or an id of the hub",
        ) from error
    if target.is_dir():
        return target
    with made_once(target) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    return target


def _key(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> str:
    import torch

    weights = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    config = model.config.to_json_string()
    return digest(config, weights.hexdigest(), tokenizer.backend_tokenizer.to_str())


def _name(model: "PreTrainedModel") -> str:
    """Return the last part of the path or id of a model; of one made in memory, its family."""
    return Path(str(model.config.name_or_path)).name or str(model.config.model_type)
