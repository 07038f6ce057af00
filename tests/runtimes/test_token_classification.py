"""Tags of words: the same as `transformers.pipeline` gives, and what accuracy is counted in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers

from runtimes.errors import UsageError
from runtimes.loading import open_checkpoint
from runtimes.tasks.token_classification import parse, word_tokens

TAGS = ("O", "B-city", "I-city", "B-day", "I-day", "NOUN")
TEXTS = [
    "fly to new york on monday morning",
    "Unknownish york, on mondays!",
    "monday",
    "new new york york monday monday morning fly fly to",
]
STRATEGIES = ("none", "simple", "first", "average", "max")
WORDS = ("fly", "to", "new", "york", "on", "mon", "##day", "##s", "morn", "##ing", ",", "!")


def wordpiece() -> Any:
    from transformers import BertTokenizer

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    return BertTokenizer(vocab={word: index for index, word in enumerate((*special, *WORDS))})


def byte_level() -> Any:
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: index for index, piece in enumerate(("<pad>", "<s>", "</s>", *alphabet))}
    merges = [("Ġ", "t"), ("Ġt", "o"), ("Ġ", "n"), ("e", "w"), ("d", "a"), ("da", "y")]
    vocab |= {"".join(pair): len(vocab) + index for index, pair in enumerate(merges)}
    backend = Backend(models.BPE(vocab, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    from tokenizers import decoders

    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture(params=[wordpiece, byte_level], ids=["wordpiece", "byte-level"])
def tagger(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A BERT with random weights whose tags depend on the token."""
    from toy_models import save_bert
    from transformers import BertForTokenClassification

    tokenizer = request.param()
    tokenizer.model_max_length = 64
    return save_bert(
        tmp_path,
        BertForTokenClassification,
        tokenizer,
        sharpened="classifier",
        id2label=dict(enumerate(TAGS)),
        label2id={tag: index for index, tag in enumerate(TAGS)},
        pad_token_id=0,
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_answers_like_transformers(tagger: Path, strategy: str) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    theirs = pipeline(
        "token-classification",
        model=AutoModelForTokenClassification.from_pretrained(tagger),
        tokenizer=AutoTokenizer.from_pretrained(tagger),
        aggregation_strategy=strategy,
    )
    with open_checkpoint(tagger) as ours:
        assert ours.task.SPEC.name == "token-classification"
        kinds = set()
        for text in TEXTS:
            expected = theirs(text)
            found = ours(text, aggregation_strategy=strategy)
            kinds |= {entity.get("entity", entity.get("entity_group")) for entity in found}
            assert len(found) == len(expected)
            for own, other in zip(found, expected, strict=True):
                assert own.pop("score") == pytest.approx(float(other.pop("score")), abs=1e-4)
                assert own == other
        assert len(kinds) > 2, "a test of one tag tests little"
        many = ours(TEXTS, aggregation_strategy=strategy)
        assert [len(one) for one in many] == [
            len(ours(text, aggregation_strategy=strategy)) for text in TEXTS
        ]


def test_a_decision_is_that_of_a_words_first_token(tagger: Path) -> None:
    with open_checkpoint(tagger) as ours:
        decisions = ours.logits(TEXTS, batch_size=2)
        assert decisions.shape == (sum(len(text.split()) for text in TEXTS), len(TAGS))
        outputs = ours.outputs([TEXTS[0]])
        first = [span[0] for span in _spans(TEXTS[0])]
        rows: dict[int, int] = {}
        for index, (start, end) in enumerate(outputs.encodings[0].offsets):
            if end > start:
                rows.setdefault(start, index)
        for word, start in enumerate(first):
            # byte-level tokens may hold the space in front of the word
            row = rows.get(start, rows.get(start - 1))
            np.testing.assert_allclose(decisions[word], outputs.logits[0][row], atol=1e-5)


def _spans(text: str) -> list[tuple[int, int]]:
    import re

    return [match.span() for match in re.finditer(r"\S+", text)]


def test_words_that_were_cut_off_are_not_decided_about() -> None:
    tokens = word_tokens("one two three", [(0, 0), (0, 3), (4, 6), (6, 7), (0, 0)], [1, 0, 0, 0, 1])
    assert tokens.tolist() == [1, 2, -1]


def test_a_token_may_begin_with_the_space_in_front() -> None:
    assert word_tokens("one two", [(0, 3), (3, 7)], [0, 0]).tolist() == [0, 1]


def test_what_it_does_not_take_is_refused(tagger: Path) -> None:
    with open_checkpoint(tagger) as ours:
        with pytest.raises(UsageError, match="none, simple, first"):
            ours("fly", aggregation_strategy="best")
        with pytest.raises(TypeError, match="list of texts"):
            ours([("a", "b")])
        assert ours("fly to york", ignore_labels=TAGS) == []
    assert parse("a").shaped([["x"]]) == ["x"]
