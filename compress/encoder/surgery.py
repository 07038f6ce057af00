"""Removes heads, neurons and layers: pure functions from a model to a smaller one.

The model passed in is never changed and shares no memory with the result. Removing a part equals
setting its mask to zero (`compress.encoder.masks`), so nothing has to be repaired for the
outputs to agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.encoder.modules import LeanEncoderPreTrainedModel

__all__ = [
    "SlicePlan",
    "drop_zeros",
    "fold_token_types",
    "keep_layers",
    "keep_positions",
    "rebuilt",
    "slice_model",
]

Model = TypeVar("Model", bound=LeanEncoderPreTrainedModel)


@dataclass(frozen=True)
class SlicePlan:
    """Parts to keep. All indices count the original model's layers, heads and neurons.

    Attributes:
        layers: Layers to keep, ascending; None keeps all.
        heads: Heads to keep, by layer; a layer that is not named keeps all of its heads.
        neurons: Neurons to keep, by layer; likewise.
    """

    layers: Sequence[int] | None = None
    heads: Mapping[int, Sequence[int]] = field(default_factory=dict)
    neurons: Mapping[int, Sequence[int]] = field(default_factory=dict)


def keep_layers(model: Model, keep: Sequence[int]) -> Model:
    """Return a copy of `model` with only the layers in `keep`."""
    return slice_model(model, SlicePlan(layers=keep))


def slice_model(model: Model, plan: SlicePlan) -> Model:
    """Remove heads, neurons and layers in one go.

    Args:
        model: A lean encoder, with or without a head.
        plan: What to keep.

    Returns:
        A new model of the same class, dtype, device and training mode.

    Raises:
        ValueError: The plan names a layer, head or neuron that does not exist, names one twice
            or out of order, or keeps no layer at all.
    """
    config: LeanEncoderConfig = model.config
    sizes = config.layer_sizes
    layers = _checked(plan.layers, len(sizes), "layer")
    if not layers:
        raise ValueError("a slice plan must keep at least one layer")
    for name, chosen in (("heads", plan.heads), ("neurons", plan.neurons)):
        if unknown := sorted(set(chosen) - set(range(len(sizes)))):
            raise ValueError(f"{name} of layer {unknown[0]}: the model has {len(sizes)} layers")

    weights, prefix = _weights(model)
    kept = {k: v for k, v in weights.items() if not k.startswith(f"{prefix}layers.")}
    new_layers = []
    for new, old in enumerate(layers):
        heads = _checked(plan.heads.get(old), sizes[old].heads, f"layer {old}: head")
        neurons = _checked(
            plan.neurons.get(old), sizes[old].intermediate_size, f"layer {old}: neuron"
        )
        source = f"{prefix}layers.{old}."
        layer = {k.removeprefix(source): v for k, v in weights.items() if k.startswith(source)}
        for name, tensor in _slice_layer(layer, sizes[old], heads, neurons).items():
            kept[f"{prefix}layers.{new}.{name}"] = tensor
        new_layers.append(asdict(LayerSizes(len(heads), sizes[old].head_size, len(neurons))))
    return rebuilt(model, config.replaced(layers=new_layers), kept)


def drop_zeros(model: Model) -> Model:
    """Remove heads and neurons that only zeros are made of, as `unfolding.unfold` leaves them.

    Returns:
        `model` itself where there are none.
    """
    weights, prefix = _weights(model)
    heads: dict[int, list[int]] = {}
    neurons: dict[int, list[int]] = {}
    found = False
    for index, sizes in enumerate(model.config.layer_sizes):
        layer = f"{prefix}layers.{index}."
        for kept, name, count in (
            (heads, "attention.output.weight", sizes.heads),
            (neurons, "feed_forward.down.weight", sizes.intermediate_size),
        ):
            if count:
                read = weights[layer + name].any(dim=0).view(count, -1).any(dim=1)
                kept[index] = read.nonzero().flatten().tolist()
                found |= len(kept[index]) < count
    return slice_model(model, SlicePlan(heads=heads, neurons=neurons)) if found else model


def fold_token_types(model: Model, token_type: int = 0) -> Model:
    """Fold one token type's embedding into the position table, for single-segment tasks.

    Lossless as long as every token has type `token_type`; afterwards `token_type_ids` are
    ignored. A model that has no token types is returned as a copy.

    Raises:
        ValueError: The model has no such token type.
    """
    config: LeanEncoderConfig = model.config
    weights, prefix = _weights(model)
    if config.type_vocab_size == 0:
        return rebuilt(model, config.replaced(), weights)
    if not 0 <= token_type < config.type_vocab_size:
        raise ValueError(f"token type {token_type}: the model has {config.type_vocab_size}")
    types = weights.pop(f"{prefix}embeddings.types.weight")
    positions = f"{prefix}embeddings.positions.weight"
    weights[positions] = weights[positions] + types[token_type]
    return rebuilt(model, config.replaced(type_vocab_size=0), weights)


def keep_positions(model: Model, length: int) -> Model:
    """Return a copy of `model` for inputs of at most `length` tokens, which it reads as before.

    Raises:
        ValueError: `length` is below 2, or the model has fewer positions.
    """
    config: LeanEncoderConfig = model.config
    if not 2 <= length <= config.max_position_embeddings:
        raise ValueError(f"{length} positions: the model has {config.max_position_embeddings}")
    weights, prefix = _weights(model)
    positions = f"{prefix}embeddings.positions.weight"
    weights[positions] = weights[positions][:length]
    furthest = min(config.max_relative_distance, length - 1)
    dropped = config.max_relative_distance - furthest  # at each end of -D to D
    for name, table in weights.items():
        if ".attention.distances." in name:
            weights[name] = table[:, dropped : table.shape[1] - dropped]
    return rebuilt(
        model,
        config.replaced(max_position_embeddings=length, max_relative_distance=furthest),
        weights,
    )


def _slice_layer(
    layer: Mapping[str, Tensor], sizes: LayerSizes, heads: Sequence[int], neurons: Sequence[int]
) -> dict[str, Tensor]:
    """Return one layer's parameters, without the heads and neurons that are not kept."""
    sliced = dict(layer)
    if len(heads) < sizes.heads:
        width = sizes.heads * sizes.head_size
        columns = torch.tensor(
            [h * sizes.head_size + i for h in heads for i in range(sizes.head_size)],
            dtype=torch.long,
            device=layer["attention.qkv.weight"].device,
        )
        rows = torch.cat([columns, columns + width, columns + 2 * width])  # of Q, K and V
        sliced["attention.qkv.weight"] = layer["attention.qkv.weight"][rows]
        sliced["attention.qkv.bias"] = layer["attention.qkv.bias"][rows]
        sliced["attention.output.weight"] = layer["attention.output.weight"][:, columns]
        for name in layer:
            if name.startswith("attention.distances."):
                sliced[name] = layer[name][list(heads)]
    if len(neurons) < sizes.intermediate_size:
        index = torch.tensor(
            neurons, dtype=torch.long, device=layer["feed_forward.up.weight"].device
        )
        sliced["feed_forward.up.weight"] = layer["feed_forward.up.weight"][index]
        sliced["feed_forward.up.bias"] = layer["feed_forward.up.bias"][index]
        sliced["feed_forward.down.weight"] = layer["feed_forward.down.weight"][:, index]
    # Of a part that is left with nothing, the output's bias stays.
    gone: tuple[str, ...] = ()
    gone += () if heads else ("attention.qkv.", "attention.output.weight", "attention.distances.")
    gone += () if neurons else ("feed_forward.up.", "feed_forward.down.weight")
    return {name: tensor for name, tensor in sliced.items() if not name.startswith(gone)}


def _weights(model: LeanEncoderPreTrainedModel) -> tuple[dict[str, Tensor], str]:
    """Return a model's parameters, and what the names of its encoder's begin with."""
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    return weights, "" if model.base_model is model else f"{model.base_model_prefix}."


def _checked(keep: Sequence[int] | None, size: int, what: str) -> list[int]:
    """Return `keep` as a list, checked against `size` (None: everything)."""
    if keep is None:
        return list(range(size))
    kept = [int(index) for index in keep]
    if kept != sorted(set(kept)):
        raise ValueError(f"{what} indices must be ascending and distinct, got {kept}")
    if kept and (kept[0] < 0 or kept[-1] >= size):
        raise ValueError(f"{what} {kept[0] if kept[0] < 0 else kept[-1]}: there are {size}")
    return kept


def rebuilt(model: Model, config: LeanEncoderConfig, weights: Mapping[str, Tensor]) -> Model:
    """Return a model of `config` that owns copies of `weights`."""
    # On the meta device nothing is allocated or drawn at random: slicing leaves the seed alone.
    with torch.device("meta"):
        built = type(model)(config)
    copies = {name: tensor.clone().contiguous() for name, tensor in weights.items()}
    built.load_state_dict(copies, strict=True, assign=True)
    built.train(model.training)
    return built
