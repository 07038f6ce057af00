"""Lossless folds that importers share: from a family's modules to the lean encoder's parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.heads.registry import build, model_of_original
from compress.encoder.modules import LeanEncoderWithHead
from compress.errors import ModelError
from runtimes.registry import DEFAULT_TASK, get_task, task_of_head

__all__ = [
    "LayerParts",
    "MaskedParts",
    "UnsupportedArchitectureError",
    "assemble",
    "bert_layers",
    "check_options",
    "head_parts",
    "label_settings",
]

_REFUSED = {
    "is_decoder": "it attends to earlier tokens only",
    "add_cross_attention": "it attends to a second sequence",
    "is_encoder_decoder": "it has a decoder",
}


class UnsupportedArchitectureError(ModelError):
    """An architecture, or an option of one, that cannot be folded into the lean encoder."""


@dataclass(frozen=True)
class MaskedParts:
    """Where a family keeps the head of a masked-language model.

    Attributes:
        dense: Path of the dense layer, such as `lm_head.dense`.
        activation: Field of the config that names its activation, or the activation's name.
        norm: Path of the LayerNorm.
        output: Path of the decoder, whose rows are the vocabulary.
    """

    dense: str
    activation: str
    norm: str
    output: str


@dataclass(frozen=True)
class LayerParts:
    """Where a family keeps the modules of one post-LayerNorm encoder layer."""

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
        """Of the attention scores."""
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


def bert_layers(layers: Iterable[Any], heads: int) -> list[LayerParts]:
    """Return the parts of layers that are named as BERT's (also RoBERTa's and ELECTRA's)."""
    return [
        LayerParts(
            query=layer.attention.self.query,
            key=layer.attention.self.key,
            value=layer.attention.self.value,
            attention_output=layer.attention.output.dense,
            attention_norm=layer.attention.output.LayerNorm,
            up=layer.intermediate.dense,
            down=layer.output.dense,
            feed_forward_norm=layer.output.LayerNorm,
            heads=heads,
        )
        for layer in layers
    ]


def assemble(
    *,
    embeddings: Any,
    layers: list[LayerParts],
    output: nn.Linear | None = None,
    dense: nn.Linear | None = None,
    norm: nn.LayerNorm | None = None,
    head: str = get_task(DEFAULT_TASK).SPEC.head,
    projection: nn.Linear | None = None,
    first_position: int = 0,
    **settings: Any,
) -> LeanEncoderWithHead:
    """Build the lean encoder from a family's parts; the parts are copied.

    Args:
        embeddings: Module with `word_embeddings`, `LayerNorm` and possibly
            `position_embeddings` and `token_type_embeddings`.
        layers: The encoder's layers.
        output: Last matrix of the classification head; None of sentence vectors.
        dense: First matrix of the classification head; None of heads that have none.
        norm: LayerNorm in the head of a masked-language model.
        head: As in `LeanEncoderConfig`.
        projection: From embedding size to hidden size, where the two differ.
        first_position: Row of the position table that the first token uses (RoBERTa: padding
            id + 1); the rows before it are dropped.
        settings: Further fields of `LeanEncoderConfig`.
    """
    words = embeddings.word_embeddings.weight
    positions = _positions(embeddings, words)[first_position:]
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
    weights.update(_parameters("encoder.embeddings.norm", embeddings.LayerNorm))
    if projection is not None:
        weights.update(_parameters("encoder.embeddings.projection", projection))
    for index, layer in enumerate(layers):
        for name, tensor in layer.folded().items():
            weights[f"encoder.layers.{index}.{name}"] = tensor
    if dense is not None:
        weights.update(_parameters("classifier.dense", dense))
    if norm is not None:
        weights.update(_parameters("classifier.norm", norm))
    if output is not None:
        weights.update(_parameters("classifier.output", output))

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
        head=head,
        **settings,
    )
    with torch.device("meta"):  # the weights below replace whatever would be drawn here
        model = build(config)
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
    model.load_state_dict(copies, strict=True, assign=True)
    return model


def _positions(embeddings: Any, words: Tensor) -> Tensor:
    """Return the position table; zeros where a family has positions in its attention only."""
    if embeddings.position_embeddings is not None:
        table: Tensor = embeddings.position_embeddings.weight
        return table
    return words.new_zeros(embeddings.config.max_position_embeddings, words.shape[1])


def head_parts(model: Any, masked: MaskedParts) -> dict[str, Any]:
    """Return the head of a model, as `assemble` takes it; nothing for a head that each family has
    in a place of its own, such as a classifier of texts.

    Args:
        model: A model of Transformers.
        masked: Where its family keeps the head of a masked-language model.
    """
    return model_of_original(model).parts(model, masked)


def label_settings(model: Any) -> dict[str, Any]:
    """Return fields that mean the same in every family: labels, task, padding and its origin."""
    config = model.config
    return {
        **model_of_original(model).settings(model),
        "pad_token_id": config.pad_token_id,
        "initializer_range": config.initializer_range,
        "source_family": config.model_type,
    }


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


def _parameters(name: str, module: nn.Linear | nn.LayerNorm) -> dict[str, Tensor]:
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
