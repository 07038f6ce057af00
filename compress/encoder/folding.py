"""Folds a family's modules into the lean encoder's parameters, without loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.heads.registry import build, model_of_original
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead
from compress.errors import ModelError
from runtimes.registry import task_of_head

__all__ = [
    "BERT_LAYER",
    "Folding",
    "LayerParts",
    "UnsupportedArchitectureError",
    "check_options",
    "fold",
    "layer_parts",
]

BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
"""Paths of a layer's modules in BERT, by the field of `LayerParts`; RoBERTa and ELECTRA agree."""

# Fields of `LeanEncoderConfig`, and what most families call them.
_COMMON = {
    "hidden_act": "hidden_act",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
}

# Entries of a configuration that are about its file, or that the lean encoder has itself.
_OF_THE_FILE = {
    "_name_or_path",
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "problem_type",
    "sentence_pooling",
    "transformers_version",
}

_REFUSED = {
    "is_decoder": "it attends to earlier tokens only",
    "add_cross_attention": "it attends to a second sequence",
    "is_encoder_decoder": "it has a decoder",
}


class UnsupportedArchitectureError(ModelError):
    """An architecture, or an option of one, that cannot be folded into the lean encoder."""


@dataclass(frozen=True)
class LayerParts:
    """Modules of one post-LayerNorm encoder layer of a family."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    down: nn.Linear
    feed_forward_norm: nn.LayerNorm
    heads: int
    distances: Mapping[str, Tensor] = field(default_factory=dict)  # of `attention.distances`
    terms: int = 1  # that the scores are a sum of, and scaled down for

    @property
    def head_size(self) -> int:
        return self.query.out_features // self.heads

    @property
    def scale(self) -> float:
        """Scale of the attention scores."""
        return float((self.head_size * self.terms) ** -0.5)

    def sizes(self) -> dict[str, int]:
        """Return the layer's entry in `LeanEncoderConfig.layers`."""
        return {
            "heads": self.heads,
            "head_size": self.head_size,
            "intermediate_size": self.up.out_features,
        }

    def folded(self) -> dict[str, Tensor]:
        """Return the lean layer's parameters: Q, K, V fused, the scale folded into Q."""
        q, k, v = self.query, self.key, self.value
        return {
            **{f"attention.distances.{name}": table for name, table in self.distances.items()},
            "attention.qkv.weight": torch.cat([q.weight * self.scale, k.weight, v.weight]),
            "attention.qkv.bias": torch.cat([q.bias * self.scale, k.bias, v.bias]),
            **_parameters("attention.output", self.attention_output),
            **_parameters("attention_norm", self.attention_norm),
            **_parameters("feed_forward.up", self.up),
            **_parameters("feed_forward.down", self.down),
            **_parameters("feed_forward_norm", self.feed_forward_norm),
        }


def layer_parts(
    layer: Any, heads: int, paths: Mapping[str, str] = BERT_LAYER, **more: Any
) -> LayerParts:
    """Return the parts of a family's layer.

    Args:
        layer: The layer.
        heads: Its attention heads.
        paths: Paths of its modules, by the field of `LayerParts`.
        more: Further fields of `LayerParts`.
    """
    modules = {name: attrgetter(path)(layer) for name, path in paths.items()}
    return LayerParts(heads=heads, **modules, **more)


@dataclass(frozen=True)
class Folding:
    """Where a model of Transformers keeps what the lean encoder has.

    Attributes:
        model: Its `base_model.embeddings` have `word_embeddings`, `LayerNorm` and possibly
            `position_embeddings` and `token_type_embeddings`.
        layers: The encoder's layers.
        heads: Paths of the modules of the family's heads.
        projection: From embedding size to hidden size, where the two differ.
        first_position: Row of the position table that the first token uses (RoBERTa: padding
            id + 1); the rows before it are dropped.
        classifier_dropout: As in `LeanEncoderConfig`; None is that of the layers.
        settings: Further fields of `LeanEncoderConfig`, and those that the family does not call as
            BERT does.
    """

    model: Any
    layers: Sequence[LayerParts]
    heads: HeadPaths
    projection: nn.Linear | None = None
    first_position: int = 0
    classifier_dropout: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def fold(folding: Folding) -> LeanEncoderWithHead:
    """Build the lean encoder from a model of Transformers; the weights are copied.

    Raises:
        UnsupportedArchitectureError: An option of the config cannot be folded.
        ModelError: Transformers itself does not implement an option any more.
    """
    model, layers, paths = folding.model, folding.layers, folding.heads
    original, kind = model.config, model_of_original(model)
    settings: dict[str, Any] = {own: getattr(original, name, None) for own, name in _COMMON.items()}
    settings |= folding.settings
    check_options(original, settings["hidden_act"])
    embeddings = model.base_model.embeddings
    words = embeddings.word_embeddings.weight
    positions = _positions(embeddings, words)[folding.first_position :]
    types = getattr(embeddings, "token_type_embeddings", None)
    weights: dict[str, Tensor] = {"encoder.embeddings.words.weight": words}
    type_vocab_size = 0 if types is None else types.weight.shape[0]
    if types is not None and type_vocab_size == 1:
        # A single type is added to every token alike, just as its position is.
        positions = positions + types.weight
        type_vocab_size = 0
    elif types is not None:
        weights["encoder.embeddings.types.weight"] = types.weight
    weights["encoder.embeddings.positions.weight"] = positions
    weights |= _parameters("encoder.embeddings.norm", embeddings.LayerNorm)
    if folding.projection is not None:
        weights |= _parameters("encoder.embeddings.projection", folding.projection)
    for index, layer in enumerate(layers):
        for name, tensor in layer.folded().items():
            weights[f"encoder.layers.{index}.{name}"] = tensor
    activation = paths.classifier_activation
    settings |= {
        "classifier_activation": getattr(original, activation, activation),
        "classifier_dropout": settings["dropout"]
        if folding.classifier_dropout is None
        else folding.classifier_dropout,
        **kind.settings(model),
    }
    for name, part in kind.parts(model, paths).items():
        if isinstance(part, nn.Module):
            weights |= _parameters(f"classifier.{name}", part)
        else:
            settings[name] = part
    head: str = settings.get("head", LeanEncoderConfig.head)
    config = LeanEncoderConfig(
        vocab_size=words.shape[0],
        embedding_size=words.shape[1],
        hidden_size=layers[0].attention_norm.weight.shape[0],
        layers=[layer.sizes() for layer in layers],
        layer_norm_eps=embeddings.LayerNorm.eps,
        max_position_embeddings=positions.shape[0],
        type_vocab_size=type_vocab_size,
        first_token_last_layer=not task_of_head(head).SPEC.reads_tokens
        and settings.get("pooling", "cls") == "cls",
        pad_token_id=original.pad_token_id,
        initializer_range=original.initializer_range,
        source_family=original.model_type,
        source_config=_kept(original),
        **settings,
    )
    with torch.device("meta"):  # the weights below replace whatever would be drawn here
        lean = build(config)
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
    lean.load_state_dict(copies, strict=True, assign=True)
    return lean


def _kept(original: Any) -> dict[str, Any]:
    """Return what a configuration says of its family, and not of labels, files or versions."""
    described: dict[str, Any] = original.to_diff_dict()
    return {name: value for name, value in described.items() if name not in _OF_THE_FILE}


def _positions(embeddings: Any, words: Tensor) -> Tensor:
    """Return the position table; zeros where a family has positions in its attention only."""
    if embeddings.position_embeddings is not None:
        table: Tensor = embeddings.position_embeddings.weight
        return table
    return words.new_zeros(embeddings.config.max_position_embeddings, words.shape[1])


def check_options(config: Any, activation: str) -> None:
    """Refuse, by name, options of a BERT-like config that the lean encoder does not have.

    Args:
        config: The family's config.
        activation: Its feed-forward activation.

    Raises:
        UnsupportedArchitectureError: The first option that cannot be folded.
        ModelError: An option that transformers itself does not implement any more.
    """
    for option, reason in _REFUSED.items():
        if getattr(config, option, False):
            raise UnsupportedArchitectureError(
                f"{config.model_type} with {option}=true cannot be imported: {reason}"
            )
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    if positions != "absolute":
        # transformers 5 ignores the option, so that even the original's logits would be wrong.
        raise ModelError(
            f"{config.model_type} with position_embedding_type={positions!r} is not supported: "
            "transformers 5 computes it as if it were 'absolute'",
            hint="Fine-tune a checkpoint with absolute positions.",
        )
    if activation not in ACT2FN:
        raise UnsupportedArchitectureError(
            f"{config.model_type} with activation {activation!r} cannot be imported: transformers "
            "knows no activation of this name"
        )


def _parameters(name: str, module: Any) -> dict[str, Tensor]:
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
