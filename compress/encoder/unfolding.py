"""Turns a lean encoder back into a model of the family that it was imported from.

A family has one number of heads and one width for all layers. So heads that were pruned are there
again, and neurons up to the widest layer's, with zeros for weights: they add nothing to any answer.
They stay what they are when the model is trained on, since a part that is zero from end to end has
no gradient.
"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.encoder.folding import Folding, LayerParts, UnsupportedArchitectureError
from compress.encoder.importers.registry import find_importer
from compress.encoder.modules import LeanEncoderWithHead
from export.ecosystem import family_config
from runtimes.registry import task_of_head

__all__ = ["unfold"]


def unfold(lean: LeanEncoderWithHead) -> Any:
    """Return a model of transformers' own class for the family, with the same answers.

    Args:
        lean: Is left as it is.

    Returns:
        The model in evaluation mode. Its weights are copies.

    Raises:
        UnsupportedArchitectureError: The family's classes cannot say what the lean encoder does:
            its layers have distances of their own (MPNet, DeBERTa), or it is of no family.
    """
    config = lean.config
    folding_of = getattr(find_importer(config.source_family or ""), "folding", None)
    if config.source_config is None or folding_of is None:
        raise UnsupportedArchitectureError(
            f"a lean encoder of {config.source_family or 'no family'} has no other class"
        )
    if config.max_relative_distance:
        raise UnsupportedArchitectureError(
            f"{config.source_family} has one table of distances for all layers; here each layer "
            "has its own"
        )
    sizes = _whole_layer(config)
    family = family_config(config.replaced(layers=[asdict(sizes)] * len(config.layers)))
    weights = {name: tensor.detach() for name, tensor in lean.state_dict().items()}
    if task_of_head(config.head).SPEC.of_vocabulary:
        words, decoder = "encoder.embeddings.words.weight", "classifier.output.weight"
        family.tie_word_embeddings = torch.equal(weights[words], weights[decoder])
    with torch.random.fork_rng(devices=()):  # what is drawn here is not kept
        model = getattr(transformers, family.architectures[0])(family).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for place, tensor in _places(folding_of(model), lean, weights):
            place.copy_(tensor)
    return model


def _whole_layer(config: LeanEncoderConfig) -> LayerSizes:
    """Return the sizes of a layer of the family that has room for each of the encoder's.

    Raises:
        UnsupportedArchitectureError: No number of its heads is as wide as the hidden size.
    """
    head_sizes = {sizes.head_size for sizes in config.layer_sizes}
    if len(head_sizes) > 1 or config.hidden_size % max(head_sizes):
        raise UnsupportedArchitectureError(
            f"{config.source_family} has no heads of {', '.join(map(str, sorted(head_sizes)))} "
            f"numbers in layers of {config.hidden_size}"
        )
    (head_size,) = head_sizes
    widest = max(sizes.intermediate_size for sizes in config.layer_sizes)
    return LayerSizes(config.hidden_size // head_size, head_size, max(widest, 1))


def _places(
    folding: Folding, lean: LeanEncoderWithHead, weights: dict[str, Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what of the family's weights to write, and what to write there."""
    embeddings = folding.model.base_model.embeddings
    own = {name.removeprefix("encoder.embeddings."): w for name, w in weights.items()}
    yield embeddings.word_embeddings.weight, own["words.weight"]
    if embeddings.position_embeddings is not None:
        table = embeddings.position_embeddings.weight
        yield table[folding.first_position :], own["positions.weight"]
    if "types.weight" in own:
        yield embeddings.token_type_embeddings.weight, own["types.weight"]
    yield from _module(embeddings.LayerNorm, weights, "encoder.embeddings.norm")
    if folding.projection is not None:
        yield from _module(folding.projection, weights, "encoder.embeddings.projection")
    for index, (layer, sizes) in enumerate(
        zip(folding.layers, lean.config.layer_sizes, strict=True)
    ):
        yield from _layer(layer, sizes, weights, f"encoder.layers.{index}.")
    if not any(name.startswith("classifier.") for name in weights):  # a way to pool has none
        return
    for name, part in type(lean).parts(folding.model, folding.heads).items():
        if isinstance(part, nn.Module):
            yield from _module(part, weights, f"classifier.{name}")


def _layer(
    layer: LayerParts, sizes: LayerSizes, weights: dict[str, Tensor], prefix: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the places of a layer: the first of its heads and neurons are those that are left."""
    width = sizes.heads * sizes.head_size
    if width:
        scales = (1 / layer.scale, 1.0, 1.0)
        for kind in ("weight", "bias"):
            parts = weights[f"{prefix}attention.qkv.{kind}"].split(width)
            for module, part, scale in zip(
                (layer.query, layer.key, layer.value), parts, scales, strict=True
            ):
                yield getattr(module, kind)[:width], part * scale
    if sizes.intermediate_size:
        for kind in ("weight", "bias"):
            up = weights[f"{prefix}feed_forward.up.{kind}"]
            yield getattr(layer.up, kind)[: len(up)], up
    for module, name in (
        (layer.attention_output, "attention.output"),
        (layer.down, "feed_forward.down"),
    ):
        yield module.bias, weights[f"{prefix}{name}.bias"]
        if (inputs := weights.get(f"{prefix}{name}.weight")) is not None:  # else all are pruned
            yield module.weight[:, : inputs.shape[1]], inputs
    yield from chain(
        _module(layer.attention_norm, weights, f"{prefix}attention_norm"),
        _module(layer.feed_forward_norm, weights, f"{prefix}feed_forward_norm"),
    )


def _module(
    module: nn.Module, weights: dict[str, Tensor], name: str
) -> Iterator[tuple[Tensor, Tensor]]:
    for kind in ("weight", "bias"):
        yield getattr(module, kind), weights[f"{name}.{kind}"]
