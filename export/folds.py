"""What is folded in ONNX Runtime's graph, each to be switched off: to measure what it gives."""

from dataclasses import dataclass

__all__ = ["Folds"]


@dataclass(frozen=True)
class Folds:
    """All are lossless, up to rounding; INT8 ones go together with a plan that quantizes.

    Attributes:
        fused_qkv: Queries, keys and values are one product instead of three.
        first_token: A classifier's last layer computes the query and the feed-forward network of
            the one token that it reads.
        attention: Attention is one node instead of nine.
        negated_projections: A residual sum is written as the difference to a negated projection,
            so that ONNX Runtime leaves it and the LayerNorm behind it apart.
        int8_words: The word table is looked up in bytes, not in floats.
        int8_classifier: The classifier's hidden layer is quantized like all others.
    """

    fused_qkv: bool = True
    first_token: bool = True
    attention: bool = True
    negated_projections: bool = True
    int8_words: bool = True
    int8_classifier: bool = True
