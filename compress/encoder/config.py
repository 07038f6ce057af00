"""Configuration of the lean encoder: every size that pruning may change is an ordinary entry."""

import copy
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import PreTrainedConfig

from runtimes.registry import task_of_head

__all__ = ["LayerSizes", "LeanEncoderConfig"]


@dataclass(frozen=True)
class LayerSizes:
    """Sizes of one encoder layer.

    Attributes:
        heads: Attention heads; 0 leaves only the bias of the attention's output projection.
        head_size: Width of one head.
        intermediate_size: Neurons of the feed-forward network; 0 leaves only its output bias.
    """

    heads: int
    head_size: int
    intermediate_size: int


@strict
class LeanEncoderConfig(PreTrainedConfig):
    """Sizes and options of a lean encoder.

    Args:
        vocab_size: Rows of the word-embedding table.
        embedding_size: Width of the embedding tables; a projection to `hidden_size` follows
            where the two differ (ELECTRA-small).
        hidden_size: Width of the residual stream.
        layers: One `{"heads": ..., "head_size": ..., "intermediate_size": ...}` a layer,
            see `LayerSizes`.
        hidden_act: Activation of the feed-forward networks, a name in transformers' `ACT2FN`.
        layer_norm_eps: Epsilon of every LayerNorm.
        max_position_embeddings: Positions that can really be used (tokens in, at most); a
            family's position offset is folded away by its importer.
        max_relative_distance: Attention heads tell distances of two tokens apart, -this to this,
            further ones counting as these; 0: they do not.
        distance_vectors: They add a query's and a key's product with vectors for the distance
            (DeBERTa); False: a number for the distance (MPNet).
        type_vocab_size: Token types; 0 means that the table is folded into the positions and
            `token_type_ids` are ignored.
        classifier_activation: `"tanh"`, `"relu"`, `"gelu"` or None (identity), between the two
            matrices of the classification head.
        dropout: After embeddings and after each sublayer, in training.
        attention_dropout: On attention probabilities, in training.
        classifier_dropout: Before the last matrix of the classification head, in training.
        first_token_last_layer: Compute only the first token's query and feed-forward network in
            the last layer when a classifier asks for nothing but logits (lossless); False of a
            token classifier.
        head: What reads the last layer, by the name that a task gives it (`runtimes.tasks`).
        pooling: How a head that pools makes the text's vector of the tokens': `"mean"` or `"cls"`.
        normalized: Whether that vector is made one of length 1.
        source_family: `model_type` of the checkpoint this encoder was imported from.
        source_config: That checkpoint's own configuration, but for labels: what other libraries
            are told of the encoder, and what its family's classes are made of again.
        initializer_range: Standard deviation of freshly initialised matrices.
        pad_token_id: Id of the padding token.
    """

    model_type = "lean-encoder"

    vocab_size: int = 30522
    embedding_size: int = 384
    hidden_size: int = 384
    layers: list[dict[str, int]] = field(default_factory=list)
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    max_position_embeddings: int = 512
    max_relative_distance: int = 0
    distance_vectors: bool = False
    type_vocab_size: int = 2
    classifier_activation: str | None = "tanh"
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.1
    classifier_dropout: float | int = 0.1
    first_token_last_layer: bool = True
    head: str = "sequence"
    pooling: str = "mean"
    normalized: bool = False
    source_family: str | None = None
    source_config: dict[str, Any] | None = None
    initializer_range: float = 0.02
    pad_token_id: int | None = 0
    tie_word_embeddings: bool = False

    @property
    def reads_tokens(self) -> bool:
        """True where the head answers for every token, rather than for the whole text."""
        return task_of_head(self.head).SPEC.reads_tokens

    @property
    def outputs(self) -> int:
        """Numbers that the head gives, for a text or for each token."""
        return int(getattr(self, task_of_head(self.head).SPEC.outputs))

    @property
    def num_hidden_layers(self) -> int:
        """Number of layers, under the name that the Hugging Face ecosystem looks for."""
        return len(self.layers)

    @property
    def layer_sizes(self) -> tuple[LayerSizes, ...]:
        """The layers' sizes, one `LayerSizes` a layer.

        Raises:
            ValueError: An entry of `layers` lacks a size, has an unknown one or a negative one.
        """
        return tuple(_layer_sizes(index, entry) for index, entry in enumerate(self.layers))

    def replaced(self, **changes: Any) -> "LeanEncoderConfig":
        """Return a deep copy with some fields changed; the original stays as it is."""
        config = copy.deepcopy(self)
        for name, value in changes.items():
            if not hasattr(config, name):
                raise AttributeError(f"LeanEncoderConfig has no field {name!r}")
            setattr(config, name, value)
        return config


def _layer_sizes(index: int, entry: dict[str, int]) -> LayerSizes:
    try:
        sizes = LayerSizes(**entry)
    except TypeError as error:
        raise ValueError(
            f"layers[{index}] of a lean encoder needs exactly the sizes heads, head_size and "
            f"intermediate_size; it has {sorted(entry)}"
        ) from error
    if sizes.heads < 0 or sizes.intermediate_size < 0 or sizes.head_size < 1:
        raise ValueError(f"layers[{index}] of a lean encoder has an impossible size: {sizes}")
    return sizes
