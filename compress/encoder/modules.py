"""The lean encoder: one post-LayerNorm Transformer encoder that every family is folded into.

Parameter names and shapes (V words, E embedding size, P positions, S token types, H hidden size,
C labels, D largest relative distance; in layer N: h heads of size d, I neurons):

    encoder.embeddings.words.weight                       (V, E)
    encoder.embeddings.positions.weight                   (P, E)   row 0 is the first token's
    encoder.embeddings.types.weight                       (S, E)   absent when S = 0
    encoder.embeddings.norm.{weight,bias}                 (E,)
    encoder.embeddings.projection.{weight,bias}           (H, E), (H,)   absent when E = H
    encoder.layers.N.attention.qkv.{weight,bias}          (3 h d, H), (3 h d,)   absent when h = 0
        rows: h heads of Q, then of K, then of V; 1/sqrt(d) is folded into the rows of Q
    encoder.layers.N.attention.output.{weight,bias}       (H, h d), (H,)   only bias when h = 0
    encoder.layers.N.attention.distances.numbers          (h, 2 D + 1)   absent when D or h = 0
        added to a head's scores, by how far the key stands behind the query, -D to D; or
    encoder.layers.N.attention.distances.{of_queries,of_keys}   (h, 2 D + 1, d)
        whose products with the query and with the key are added
    encoder.layers.N.attention_norm.{weight,bias}         (H,)
    encoder.layers.N.feed_forward.up.{weight,bias}        (I, H), (I,)   absent when I = 0
    encoder.layers.N.feed_forward.down.{weight,bias}      (H, I), (H,)   only bias when I = 0
    encoder.layers.N.feed_forward_norm.{weight,bias}      (H,)
    classifier.dense.{weight,bias}                        (H, H), (H,)   not of a token classifier
    classifier.output.{weight,bias}                       (C, H), (C,)   not of sentence vectors

A masked-language model has classifier.dense (E, H), classifier.norm (E,) and classifier.output
(V, E).

`LeanEncoderModel` alone has the same names without `encoder.`. There are no buffers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import ModelOutput

from compress.encoder.answers import rows_of
from compress.encoder.config import LeanEncoderConfig
from compress.encoder.distances import DistanceNumbers, DistanceVectors
from compress.encoder.layers import QKV, Embeddings, EncoderLayer, OutputBias
from compress.encoder.masks import EncoderMasks
from runtimes.base import MASKED

if TYPE_CHECKING:
    from export.heads import HeadGraph

__all__ = [
    "HeadPaths",
    "LeanEncoderModel",
    "LeanEncoderPreTrainedModel",
    "LeanEncoderWithHead",
    "LeanOutput",
]


@dataclass
class LeanOutput(ModelOutput):
    """Outputs of a lean encoder; entries that were not asked for are None.

    Attributes:
        loss: Scalar, when labels were given.
        logits: (B, C); of a token classifier (B, T, C).
        last_hidden_state: (B, T, H), from `LeanEncoderModel` only.
        hidden_states: L + 1 tensors (B, T, H): embeddings, then each layer's output.
        qkv: L tuples (q, k, v), each (B, heads, T, head_size); q is already scaled, so that
            `q @ k.transpose(-1, -2)` are the attention scores.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    qkv: tuple[QKV, ...] | None = None


class LeanEncoderPreTrainedModel(PreTrainedModel):
    """Base of the lean encoder's models: their config, and how weights are initialised."""

    config_class = LeanEncoderConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    _supports_sdpa = True
    _no_split_modules = ("EncoderLayer",)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # from_pretrained builds on the meta device: what is missing in the file would stay garbage
        if isinstance(module, OutputBias | DistanceNumbers | DistanceVectors):
            for parameter in module.parameters():
                if not getattr(parameter, "_is_hf_initialized", False):
                    parameter.zero_()


class LeanEncoderModel(LeanEncoderPreTrainedModel):
    """Embeddings and layers, without a task head."""

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(EncoderLayer(config, sizes) for sizes in config.layer_sizes)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.words

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings.words = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        masks: EncoderMasks | None = None,
        output_hidden_states: bool = False,
        output_qkv: bool = False,
        first_only: bool = False,
        return_dict: bool = True,
    ) -> LeanOutput | tuple[Any, ...]:
        """Encode a batch that is padded on the right.

        Args:
            input_ids: Integers (B, T), T at most `max_position_embeddings`.
            attention_mask: (B, T), 1 for tokens and 0 for padding; None when nothing is padded,
                which saves the mask arithmetic.
            token_type_ids: (B, T); None means type 0 throughout. Ignored where the config has
                `type_vocab_size` 0: the table is then part of the positions.
            masks: Multipliers for heads, neurons and layers.
            output_hidden_states: Return every layer's output.
            output_qkv: Return every layer's queries, keys and values.
            first_only: Compute only the first token in the last layer; `last_hidden_state` is
                then (B, 1, H), and so are the last layer's hidden state and query.
            return_dict: Return a `LeanOutput` rather than a tuple.

        Raises:
            ValueError: The masks are of other sizes than the encoder.
        """
        if masks is not None:
            masks.check(self.config)
        hidden = self.embeddings(input_ids, token_type_ids)
        padding = None
        if attention_mask is not None:
            padding = (1.0 - attention_mask.to(hidden.dtype)) * MASKED
            padding = padding[:, None, None, :]  # (B, 1, 1, T)
        hidden_states, qkvs = [hidden], []
        for index, layer in enumerate(self.layers):
            layer_masks = None
            if masks is not None:
                layer_masks = (masks.heads[index], masks.neurons[index], masks.layers[index])
            last = index == len(self.layers) - 1
            hidden, qkv = layer(hidden, padding, layer_masks, first_only and last)
            hidden_states.append(hidden)
            qkvs.append(qkv)
        output = LeanOutput(
            last_hidden_state=hidden,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            qkv=tuple(qkvs) if output_qkv else None,
        )
        return output if return_dict else output.to_tuple()


@dataclass(frozen=True)
class HeadPaths:
    """Paths of the modules of a family's heads, such as `lm_head.dense`.

    Attributes:
        pooler: Dense layer of a classifier of texts whose `classifier` is its output matrix alone.
        classifier_activation: Its activation, or the field of the config that names it.
        dense: Dense layer of a masked-language model.
        activation: Its activation, or the field of the config that names it.
        norm: Its LayerNorm.
        output: Its decoder, whose rows are the vocabulary.
    """

    pooler: str
    dense: str
    activation: str
    norm: str
    output: str
    classifier_activation: str = "tanh"


class LeanEncoderWithHead(LeanEncoderPreTrainedModel):
    """The lean encoder with what a task reads from it; its subclasses, in
    `compress.encoder.heads`, are the models.

    Attributes:
        head: The module on top of the encoder.
        quantized_layers: Of its linear layers those that exporters quantize; a matrix with a row a
            class does not pay for it.
    """

    head: type[nn.Module]
    quantized_layers: tuple[str, ...] = ("dense",)

    def __init__(self, config: LeanEncoderConfig) -> None:
        super().__init__(config)
        self.encoder = LeanEncoderModel(config)
        self.classifier: Any = self.head(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        masks: EncoderMasks | None = None,
        output_hidden_states: bool = False,
        output_qkv: bool = False,
        return_dict: bool = True,
    ) -> LeanOutput | tuple[Any, ...]:
        """Classify a batch, or each of its tokens; arguments as in `LeanEncoderModel.forward`.

        Args:
            labels: For a classifier of texts (B,) integers for single-label classification, (B, C)
                floats for multi-label classification, (B,) or (B, C) floats for regression; for
                one of tokens (B, T) integers, -100 where a token has none; for answers (B, 2)
                tokens at which they start and end. Gives `loss`.
        """
        needs_all_tokens = output_hidden_states or output_qkv
        encoded = self.encoder(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            masks=masks,
            output_hidden_states=output_hidden_states,
            output_qkv=output_qkv,
            first_only=self.config.first_token_last_layer and not needs_all_tokens,
        )
        logits = self.read_out(encoded.last_hidden_state, attention_mask)
        output = LeanOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=encoded.hidden_states,
            qkv=encoded.qkv,
        )
        return output if return_dict else output.to_tuple()

    @classmethod
    def parts(cls, original: Any, paths: HeadPaths) -> dict[str, Any]:
        """Return the modules in the head of a model of Transformers by their names here, and fields
        of `LeanEncoderConfig`.

        Args:
            original: The model.
            paths: Paths of the modules of its family's heads.
        """
        raise NotImplementedError

    @classmethod
    def settings(cls, original: Any) -> dict[str, Any]:
        """Return the fields of `LeanEncoderConfig` about labels and head.

        Args:
            original: A model of Transformers.
        """
        labels = dict(original.config.id2label)
        return {
            "problem_type": original.config.problem_type,
            "id2label": labels,
            "label2id": {name: index for index, name in labels.items()},
        }

    @classmethod
    def original_logits(cls, original: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return what the original says about a batch, in the form of this class's logits."""
        logits: Tensor = original(**batch).logits
        return logits

    @classmethod
    def answers(cls, logits: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return everything that the model says as (m, C).

        Args:
            logits: (B, C) or (B, T, C).
            attention_mask: (B, T) or None when nothing is padded.
        """
        return rows_of(logits, attention_mask)

    @classmethod
    def nodes(cls, graph: "HeadGraph") -> str:
        """Add the head to an ONNX graph and return the name of its logits."""
        raise NotImplementedError

    @classmethod
    def named_nodes(cls, graph: "HeadGraph") -> dict[str, tuple[str, tuple[str | int, ...]]]:
        """Add the head to an ONNX graph; return its outputs as other libraries expect them.

        Returns:
            By the name that stock exports of the task give an output, the value in the graph, and
            its shape.
        """
        return {"logits": (cls.nodes(graph), graph.shape)}

    def read_out(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:  # noqa: ARG002
        """Return what the head says of (B, T, H), or of the first tokens alone where it reads no
        others.

        Args:
            hidden: The last layer's output.
            attention_mask: (B, T) or None when nothing is padded.
        """
        answers: Tensor = self.classifier(hidden)
        return answers

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss by the config's problem type, guessed as transformers does if None."""
        problem = self.config.problem_type
        if problem is None:
            if self.config.num_labels == 1:
                problem = "regression"
            elif labels.is_floating_point():
                problem = "multi_label_classification"
            else:
                problem = "single_label_classification"
        if logits.ndim == 3:
            return F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        if problem == "regression":
            return F.mse_loss(logits.view(labels.shape), labels)
        if problem == "multi_label_classification":
            return F.binary_cross_entropy_with_logits(logits, labels)
        return F.cross_entropy(logits, labels)
