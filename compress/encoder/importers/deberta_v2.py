"""DeBERTa-v2 and v3: BERT's layers, whose heads also weigh each token against distances."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from compress.encoder.folding import (
    LayerParts,
    MaskedParts,
    UnsupportedArchitectureError,
    assemble,
    check_options,
    head_parts,
    label_settings,
)
from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert"]

MODEL_TYPES = ("deberta-v2",)

_MASKED = MaskedParts(
    dense="cls.predictions.transform.dense",
    activation="hidden_act",
    norm="cls.predictions.transform.LayerNorm",
    output="cls.predictions.decoder",
)


def convert(model: Any) -> LeanEncoderWithHead:
    """Fold a `DebertaV2ForSequenceClassification`, one for tokens, or a `DebertaV2Model`.

    The family projects embeddings of distances in each layer for each input; the results are the
    same every time, and are what the lean encoder has.
    """
    config = model.config
    check_options(config, config.hidden_act)
    _check(model)
    encoder, heads = model.base_model, config.num_attention_heads
    furthest = config.max_position_embeddings - 1 if config.relative_attention else 0
    distances: list[Mapping[str, Tensor]] = [{} for _ in encoder.encoder.layer]
    if furthest:
        with torch.no_grad():
            embeddings = encoder.encoder.get_rel_embedding()
            distances = [
                _vectors(layer.attention.self, embeddings, furthest)
                for layer in encoder.encoder.layer
            ]
    head = head_parts(model, _MASKED) or {
        "dense": model.pooler.dense,
        "output": model.classifier,
        "classifier_activation": config.pooler_hidden_act,
    }
    dropout = getattr(config, "cls_dropout", None)
    return assemble(
        embeddings=encoder.embeddings,
        layers=[
            LayerParts(
                query=layer.attention.self.query_proj,
                key=layer.attention.self.key_proj,
                value=layer.attention.self.value_proj,
                attention_output=layer.attention.output.dense,
                attention_norm=layer.attention.output.LayerNorm,
                up=layer.intermediate.dense,
                down=layer.output.dense,
                feed_forward_norm=layer.output.LayerNorm,
                heads=heads,
                distances=vectors,
                terms=_terms(layer.attention.self),
            )
            for layer, vectors in zip(encoder.encoder.layer, distances, strict=True)
        ],
        max_relative_distance=furthest,
        distance_vectors=bool(furthest),
        hidden_act=config.hidden_act,
        **head,
        dropout=config.hidden_dropout_prob,
        attention_dropout=config.attention_probs_dropout_prob,
        classifier_dropout=config.hidden_dropout_prob if dropout is None else dropout,
        **label_settings(model),
    )


def _check(model: Any) -> None:
    """Refuse, by name, options that the lean encoder does not have."""
    config = model.config
    if getattr(config, "conv_kernel_size", 0):
        raise UnsupportedArchitectureError(
            f"deberta-v2 with conv_kernel_size={config.conv_kernel_size} cannot be imported: the "
            "lean encoder has no convolution"
        )
    if model.base_model.embeddings.embed_proj is not None:
        raise UnsupportedArchitectureError(
            f"deberta-v2 with embedding_size={config.embedding_size} cannot be imported: it "
            "normalizes embeddings after it has made them as wide as its layers"
        )
    if type(model).__name__.endswith("ForMaskedLM") and not config.legacy:
        raise UnsupportedArchitectureError(
            "deberta-v2 with legacy=false cannot be imported for masked words: its decoder is a "
            "function of the word embeddings"
        )


def _terms(attention: Any) -> int:
    """Return how many products a score is the sum of: of tokens, and with distances."""
    return 1 + sum(name in attention.pos_att_type for name in ("c2p", "p2c"))


def _vectors(attention: Any, embeddings: Tensor, furthest: int) -> dict[str, Tensor]:
    """Return the tables of `DistanceVectors`, for keys at -D to D tokens from the query."""
    ahead = torch.arange(furthest, -furthest - 1, -1)  # by how many tokens the query is
    if attention.position_buckets > 0:
        ahead = make_log_bucket_position(
            ahead, attention.position_buckets, attention.max_relative_positions
        ).long()
    span = attention.pos_ebd_size
    embeddings = embeddings[(ahead + span).clamp(0, 2 * span - 1)]

    def projected(shared: nn.Linear, own: str, kind: str) -> Tensor:
        heads, size = attention.num_attention_heads, attention.attention_head_size
        if kind not in attention.pos_att_type:
            return torch.zeros(heads, len(embeddings), size)
        project = shared if attention.share_att_key else getattr(attention, own)
        table: Tensor = project(embeddings).unflatten(-1, (heads, size)).transpose(0, 1)
        return table

    # What queries are multiplied with is made as keys are, and the other way round. The scale of
    # the scores is in the queries; of products without one it is in the table.
    scale = (attention.attention_head_size * _terms(attention)) ** -0.5
    return {
        "of_queries": projected(attention.key_proj, "pos_key_proj", "c2p"),
        "of_keys": scale * projected(attention.query_proj, "pos_query_proj", "p2c"),
    }
