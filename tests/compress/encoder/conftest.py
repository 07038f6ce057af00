"""Tiny checkpoints of every family, made in process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from toy_models import scramble
from transformers import (
    AlbertConfig,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)
from transformers.models.auto.modeling_auto import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification

TEXTS = [
    "a quiet, moving film about two sisters",
    "it is not that i did not like it",
    "Why would anyone pay 12.50 for this?",
    "the second hour is worse than the first",
    "good",
]
PAIRS = [("a man plays a guitar", "someone makes music"), ("no", "the second one is much longer")]

SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_labels": 3,
}
ROBERTA = {**SIZES, "max_position_embeddings": 66, "pad_token_id": 1, "type_vocab_size": 1}
BERT = {**SIZES, "max_position_embeddings": 64}
DEBERTA_V3: dict[str, Any] = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}

# One line a variant of a family: (model type, config).
FAMILIES: dict[str, Any] = {
    "bert": BertConfig(**BERT),
    "bert, one token type, relu, dropout of its own": BertConfig(
        **BERT, type_vocab_size=1, hidden_act="relu", classifier_dropout=0.3
    ),
    "bert, gelu_new, three layers": BertConfig(
        **{**BERT, "num_hidden_layers": 3}, hidden_act="gelu_new"
    ),
    "roberta": RobertaConfig(**ROBERTA),
    "roberta, two token types, padding id 0": RobertaConfig(
        **{**ROBERTA, "type_vocab_size": 2, "pad_token_id": 0}
    ),
    "xlm-roberta": XLMRobertaConfig(**ROBERTA),
    "camembert": CamembertConfig(**ROBERTA),
    "distilbert": DistilBertConfig(
        vocab_size=300,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=64,
        num_labels=3,
    ),
    "distilbert, sinusoidal positions": DistilBertConfig(
        vocab_size=300,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=64,
        sinusoidal_pos_embds=True,
        num_labels=3,
    ),
    "electra, embeddings as wide as layers": ElectraConfig(**BERT, embedding_size=32),
    "electra, narrow embeddings": ElectraConfig(**BERT, embedding_size=16),
    "albert": AlbertConfig(**BERT, embedding_size=16),
    "mpnet": MPNetConfig(**ROBERTA),
    "mpnet, further than distances are told apart": MPNetConfig(
        **{**ROBERTA, "max_position_embeddings": 202, "num_hidden_layers": 3}
    ),
    "deberta-v2 without distances": DebertaV2Config(**BERT),
    "deberta-v3": DebertaV2Config(**BERT, **DEBERTA_V3),
    "deberta-v3, projections of its own, three layers, tokens further apart than it looks": (
        DebertaV2Config(
            **{**BERT, "num_hidden_layers": 3, "type_vocab_size": 2},
            **{**DEBERTA_V3, "share_att_key": False, "position_buckets": -1},
            **{"max_relative_positions": 5, "cls_dropout": 0.3},
        )
    ),
    "deberta-v2, queries and distances only": DebertaV2Config(
        **BERT, relative_attention=True, pos_att_type=["c2p"]
    ),
    "albert, two groups of layers": AlbertConfig(
        **{**BERT, "num_hidden_layers": 4}, embedding_size=16, num_hidden_groups=2
    ),
}


KINDS = {
    "sequence": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "choice": AutoModelForMultipleChoice,
    "embedding": AutoModel,
    "mask": AutoModelForMaskedLM,
}


def build_original(config: Any, seed: int = 0, *, head: str = "sequence") -> Any:
    """The stock transformers model of a config, with weights that matter."""
    return scramble(KINDS[head].from_config(config), seed)


def build_tokenizer(padding_id: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most 300 entries, whose padding token has the given id."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[CLS]", "[SEP]", "[UNK]"]
    special.insert(padding_id, "[PAD]")
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=64,
    )


@dataclass(frozen=True)
class Tiny:
    """What tests need of this file, since they cannot import it."""

    configs: dict[str, Any]
    bert: dict[str, Any]
    texts: list[str]
    pairs: list[tuple[str, str]]
    original: Callable[..., Any]
    tokenizer: Callable[[int], PreTrainedTokenizerFast]


@pytest.fixture
def tiny() -> Tiny:
    """Tiny configs, texts, and builders of original models and tokenizers."""
    return Tiny(FAMILIES, BERT, TEXTS, PAIRS, build_original, build_tokenizer)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `family` runs once for every line of the table."""
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@pytest.fixture
def save_checkpoint(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes a model with a tokenizer as a Hugging Face checkpoint folder."""

    def save(model: Any, name: str = "checkpoint") -> Path:
        folder = tmp_path / name
        model.save_pretrained(folder)
        build_tokenizer(model.config.pad_token_id or 0).save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def lean(request: pytest.FixtureRequest) -> LeanEncoderForSequenceClassification:
    """A lean encoder with layers of different sizes; its parameter are further settings."""
    config = LeanEncoderConfig(
        vocab_size=300,
        embedding_size=16,
        hidden_size=24,
        layers=[
            {"heads": 4, "head_size": 8, "intermediate_size": 20},
            {"heads": 3, "head_size": 6, "intermediate_size": 33},
            {"heads": 1, "head_size": 8, "intermediate_size": 7},
        ],
        max_position_embeddings=40,
        **getattr(request, "param", {}),
        num_labels=3,
    )
    return scramble(LeanEncoderForSequenceClassification(config))


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three sequences of 9, 4 and 6 tokens, padded."""
    generator = torch.Generator().manual_seed(1)
    mask = (torch.arange(9) < torch.tensor([9, 4, 6])[:, None]).long()
    return {
        "input_ids": torch.randint(1, 300, (3, 9), generator=generator) * mask,
        "attention_mask": mask,
        "token_type_ids": torch.randint(0, 2, (3, 9), generator=generator),
    }
