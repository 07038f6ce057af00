"""A toy task with a teacher that has learnt it: which of two kinds of words comes first?"""

import logging
import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_models import scramble
from transformers import BertTokenizer
from transformers.utils import logging as transformers_logging

import compress.training.loop
from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.config.recipe import Recipe
from compress.corpus.corpus import Material
from compress.data.tokenized import TokenizedTexts, collate, length_grouped_batches, tokenize
from compress.encoder.config import LeanEncoderConfig
from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.predictions.losses import label_loss
from compress.stages import planned_quantization
from compress.stages.base import Context, Encoder
from compress.system.progress import SilentProgress
from compress.training.loop import fit

GOOD = ("good", "great", "fine", "lovely")
BAD = ("bad", "awful", "poor", "dull")
FILLERS = ("a", "the", "film", "plot", "is", "was", "very", "and", "its", "cast")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = {word: i for i, word in enumerate((*SPECIAL, *GOOD, *BAD, *FILLERS, "##ly", ".", ","))}


def make_examples(count: int, seed: int, pairs: bool = False) -> Examples:
    """Texts with a good and a bad word; the label says which of them comes first."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        words = [str(w) for w in rng.choice(FILLERS, size=rng.integers(2, 9))]
        label = int(rng.integers(2))
        opinions = [str(rng.choice(GOOD)), str(rng.choice(BAD))]
        first, second = opinions if label else opinions[::-1]
        place = int(rng.integers(0, len(words)))
        texts.append(" ".join([*words[:place], first, *words[place:], second]))
        labels.append(label)
    second_texts = None
    if pairs:
        second_texts = tuple(" ".join(rng.choice(FILLERS, size=4)) for _ in texts)
    return Examples(
        tuple(texts), ClassLabels(np.asarray(labels)), ("worse", "better"), second_texts
    )


def make_model(
    layers: int = 3, seed: int = 0, **changes: Any
) -> LeanEncoderForSequenceClassification:
    """A lean encoder with random weights."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "embedding_size": 32,
        "hidden_size": 32,
        "layers": [{"heads": 4, "head_size": 8, "intermediate_size": 64}] * layers,
        "max_position_embeddings": 32,
        "initializer_range": 0.1,
    }
    return LeanEncoderForSequenceClassification(LeanEncoderConfig(**{**settings, **changes})).eval()


@dataclass(frozen=True)
class Toy:
    """The task, and what was learnt of it."""

    train: Examples
    selection: Examples
    tokenizer: BertTokenizer
    teacher: LeanEncoderForSequenceClassification
    texts: TokenizedTexts
    selection_texts: TokenizedTexts

    make_model = staticmethod(make_model)
    make_examples = staticmethod(make_examples)

    def context(self, folder: Path, *, pairs: bool = False, **recipe: Any) -> Context:
        """A stage's context, with everything that a run would give it."""
        settings = Recipe.model_validate({"speedups": [], **recipe})
        teacher = Encoder(self.teacher, self.tokenizer)
        train = make_examples(256, 1, pairs) if pairs else self.train
        return Context(
            recipe=settings,
            teacher=teacher,
            train=train,
            material=Material(
                self.teacher,
                self.tokenizer,
                train,
                make_examples(96, 2, pairs) if pairs else self.selection,
                max_length=24,
                seed=settings.seed,
                scratch=folder,
            ),
            max_length=24,
            progress=SilentProgress(),
            plan=planned_quantization(settings),
        )


@contextmanager
def full_precision() -> Iterator[None]:
    """What these models learn should not hang on whether this processor has bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress.training.loop, "has_bfloat16", lambda device: False)
        yield


@pytest.fixture
def single_precision() -> Iterator[None]:
    """Training is in float32, whatever the processor has."""
    with full_precision():
        yield


@pytest.fixture(autouse=True)
def _toy_learns_in_single_precision(request: pytest.FixtureRequest) -> None:
    if "toy" in request.fixturenames:
        request.getfixturevalue("single_precision")


@pytest.fixture(scope="session")
def toy() -> Toy:
    """A three-layer teacher that answers nearly every text correctly."""
    tokenizer = BertTokenizer(vocab=VOCABULARY, model_max_length=32)
    train, selection = make_examples(512, 1), make_examples(128, 2)
    texts = tokenize(train, tokenizer, 24)
    teacher = make_model()

    def loss(indices: Any) -> torch.Tensor:
        assert texts.labels is not None
        logits = teacher(**collate(texts, indices, 0)).logits
        return label_loss(logits, torch.from_numpy(texts.labels[indices]))

    with full_precision():
        fit(
            teacher,
            loss,
            lambda epoch: length_grouped_batches(texts.lengths, 32, np.random.default_rng(epoch)),
            epochs=8,
            learning_rate=3e-3,
            progress=SilentProgress(),
            description="teacher",
        )
    return Toy(train, selection, tokenizer, teacher, texts, tokenize(selection, tokenizer, 24))


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
    model: LeanEncoderForSequenceClassification = scramble(
        LeanEncoderForSequenceClassification(config)
    )
    return model


def _state() -> dict[str, Any]:
    """All of a process that its owner may have set."""
    return {
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "loggers": [
            (name, each.level, list(each.handlers), each.propagate)
            for name, each in (
                (name, logging.getLogger(name))
                for name in ("", "edgepress", "transformers", "huggingface_hub", "datasets", "nncf")
            )
        ],
        "verbosity": transformers_logging.get_verbosity(),
        "bars": transformers_logging.is_progress_bar_enabled(),
        "python": random.getstate(),
        "numpy": [str(part) for part in np.random.get_state()],
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
    }


@pytest.fixture(scope="session")
def process_state() -> Callable[[], dict[str, Any]]:
    """What of this process a call must leave as it was."""
    return _state
