"""How the demo's teacher is built and trained."""

from dataclasses import dataclass

__all__ = ["TeacherSettings"]


@dataclass(frozen=True)
class TeacherSettings:
    """Sizes and training of the teacher; part of its cache key.

    Attributes:
        layers: Encoder layers.
        hidden_size: Width.
        heads: Attention heads a layer.
        intermediate_size: Width of the feed-forward layers.
        vocabulary: WordPiece tokens, special ones included.
        max_length: Positions.
        dropout: Of hidden states, while training. None: each text is seen less than three times,
            and with 0.1 a step took longer and the teacher ended about a point lower.
        initializer_range: Standard deviation of the first weights.
        batch_size: Utterances a step.
        epochs: Passes over the train split; may be a fraction.
        learning_rate: Peak of AdamW's schedule.
        warmup: Share of the steps before the peak.
    """

    layers: int = 4
    hidden_size: int = 256
    heads: int = 4
    intermediate_size: int = 1024
    vocabulary: int = 2000
    max_length: int = 64
    dropout: float = 0.0
    initializer_range: float = 0.05
    batch_size: int = 32
    epochs: float = 2.6
    learning_rate: float = 6e-4
    warmup: float = 0.1
