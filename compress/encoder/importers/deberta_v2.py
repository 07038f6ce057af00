"""DeBERTa-v2 and v3: BERT's layers, whose heads also weigh each token against distances."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from compress.encoder.folding import (
    BERT_LAYER,
    Folding,
    UnsupportedArchitectureError,
    fold,
    layer_parts,
)
from compress.encoder.modules import HeadPaths, LeanEncoderWithHead

__all__ = ["MODEL_TYPES", "convert", "folding"]

MODEL_TYPES = ("deberta-v2",)

_LAYER = {
    **BERT_LAYER,
    "query": "attention.self.query_proj",
    "key": "attention.self.key_proj",
    "value": "attention.self.value_proj",
}
_HEADS = HeadPaths(
    pooler="pooler.dense",
    classifier_activation="pooler_hidden_act",
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
    return fold(folding(model))


def folding(model: Any) -> Folding:
    """Return where the model keeps its parts."""
    _check(model)
    config, encoder = model.config, model.base_model.encoder
    furthest = config.max_position_embeddings - 1 if config.relative_attention else 0
    layers = []
    with torch.no_grad():
        embeddings = encoder.get_rel_embedding() if furthest else None
        for layer in encoder.layer:
            attention = layer.attention.self
            distances = {} if embeddings is None else _vectors(attention, embeddings, furthest)
            layers.append(
                layer_parts(
                    layer,
                    config.num_attention_heads,
                    _LAYER,
                    distances=distances,
                    terms=_terms(attention),
                )
            )
    return Folding(
        model,
        layers,
        _HEADS,
        classifier_dropout=getattr(config, "cls_dropout", None),
        settings={"max_relative_distance": furthest, "distance_vectors": bool(furthest)},
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
