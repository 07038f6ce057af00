"""Imports a fine-tuned checkpoint into the lean encoder and proves that nothing was lost."""

import math
import pkgutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import compress.encoder.importers
from compress.encoder.checkpoint import load_checkpoint, read_config
from compress.encoder.folding import UnsupportedArchitectureError
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.parity import max_logit_delta
from compress.encoder.surgery import drop_zeros
from compress.errors import ModelError

__all__ = ["TOLERANCE", "Imported", "find_importer", "import_encoder", "supported_model_types"]

TOLERANCE = 1e-4
"""Largest difference between a logit of the original and of the import that counts as equal; as a
share of the largest logit, where that is more than 1."""


@dataclass(frozen=True)
class Imported:
    """A checkpoint inside the lean encoder.

    Attributes:
        model: The lean encoder, float32, in evaluation mode.
        tokenizer: The checkpoint's own tokenizer (transformers).
        max_abs_delta: Largest absolute difference between its logits and the original's.
        notes: What was folded, for the log; one sentence each.
    """

    model: LeanEncoderWithHead
    tokenizer: Any
    max_abs_delta: float
    notes: tuple[str, ...]


def supported_model_types() -> tuple[str, ...]:
    """Return every `model_type` that has an importer, sorted."""
    return tuple(sorted(_importers()))


def find_importer(model_type: str) -> ModuleType | None:
    """Return the importer of a family, if it has one."""
    return _importers().get(model_type)


def import_encoder(source: str | Path) -> Imported:
    """Fold a fine-tuned sequence classifier into the lean encoder.

    Args:
        source: Checkpoint folder (config.json, safetensors weights, tokenizer.json), or the
            id of a model on the Hugging Face hub.

    Returns:
        The import, whose logits were compared with the original's on padded batches, sentence
        pairs, sequences of random ids and the longest sequence that fits.

    Raises:
        UnsupportedArchitectureError: The family has no importer, or the checkpoint uses an
            option that the importer cannot fold; export and INT8 still work for it.
        ModelError: There is no such checkpoint, it cannot be read safely, it has no
            classification head, or its logits differ after the import.
    """
    config = read_config(source)
    importer = find_importer(config.model_type)
    if importer is None:
        raise UnsupportedArchitectureError(
            f"{source}: no importer for architecture {config.model_type!r}; there is one for "
            f"{', '.join(supported_model_types())}",
            hint="It can still be exported, quantized and measured, but not distilled or pruned.",
        )
    checkpoint = load_checkpoint(source, config)
    whole = importer.convert(checkpoint.model).eval()
    model = drop_zeros(whole)
    delta, largest = max_logit_delta(checkpoint.model, model, checkpoint.tokenizer)
    if not math.isfinite(largest):
        raise ModelError(
            f"{source}: its answers are no finite numbers",
            hint="Did its training diverge? Train it again, with a lower learning rate.",
        )
    allowed = TOLERANCE * max(1.0, largest)
    if not delta <= allowed:  # also true when it is NaN
        raise ModelError(
            f"{source}: after importing, logits differ from the original's by {delta:.2e}, more "
            f"than {allowed:.0e}; refusing to go on with a model that is not yours",
            hint="Please report this checkpoint: the importer misses one of its options.",
        )
    return Imported(
        model=model,
        tokenizer=checkpoint.tokenizer,
        max_abs_delta=delta,
        notes=_notes(config, model, smaller=model is not whole),
    )


def _importers() -> dict[str, ModuleType]:
    """Return the importers by model type, from the files beside this one."""
    package = compress.encoder.importers
    found: dict[str, ModuleType] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name == "registry":
            continue
        module = import_module(f"{package.__name__}.{info.name}")
        for model_type in module.MODEL_TYPES:
            if model_type in found:
                raise RuntimeError(
                    f"{found[model_type].__name__} and {module.__name__} both import {model_type!r}"
                )
            found[model_type] = module
    return found


def _notes(original: Any, model: LeanEncoderWithHead, *, smaller: bool) -> tuple[str, ...]:
    if original.model_type == model.config.model_type:
        return ("already a lean encoder",)
    notes = ["Q, K and V fused into one matrix, 1/sqrt(d) folded into Q"]
    usable = model.config.max_position_embeddings
    if usable != original.max_position_embeddings:
        notes.append(
            f"position table cut from {original.max_position_embeddings} to its {usable} usable "
            "positions"
        )
    if smaller:
        notes.append("heads and neurons that are all zeros left out")
    if getattr(original, "type_vocab_size", 0) == 1:
        notes.append("the only token type folded into the positions")
    return tuple(notes)
