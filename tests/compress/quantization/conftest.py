"""A lean encoder of a few kilobytes, with layers of different sizes and weights that matter."""

import pytest
import torch

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import LeanEncoderForSequenceClassification


@pytest.fixture
def lean() -> LeanEncoderForSequenceClassification:
    config = LeanEncoderConfig(
        vocab_size=300,
        embedding_size=16,
        hidden_size=32,
        layers=[
            {"heads": 4, "head_size": 8, "intermediate_size": 20},
            {"heads": 3, "head_size": 6, "intermediate_size": 33},
            {"heads": 2, "head_size": 8, "intermediate_size": 16},
        ],
        max_position_embeddings=40,
        num_labels=3,
    )
    model = LeanEncoderForSequenceClassification(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(noise + 1.0 if is_norm else noise)
    return model.eval()
